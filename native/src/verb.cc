#include "core.h"
#include "failure.h"

#include <cmath>
#include <utility>

namespace rosetta_vm {

namespace {

/// VMADDR_PORT_ANY (linux/vm_sockets.h) is 2^32 - 1 and no port.
constexpr double kMaximumPort = 4294967294.0;
/// Number.MAX_SAFE_INTEGER.
constexpr double kMaximumSafeInteger = 9007199254740991.0;

void checkInteger(const Argument &argument, double maximum) {
  const double *number = std::get_if<double>(&argument);
  if (number == nullptr || !(*number >= 0 && *number <= maximum) || *number != std::floor(*number))
    throw Failure(AddonFailure::invalid, "The argument is not one of this verb.",
                  "It takes an integer from 0 to " + std::to_string(static_cast<int64_t>(maximum)) + ".");
}

} // namespace

std::optional<Verb> verbNamed(const std::string &name) {
  static constexpr std::pair<const char *, Verb> kVerbs[] = {
      {"start", Verb::start},     {"pause", Verb::pause},     {"resume", Verb::resume}, {"requestStop", Verb::requestStop},
      {"stop", Verb::stop},       {"connect", Verb::connect}, {"release", Verb::release}, {"save", Verb::save},
      {"restore", Verb::restore}, {"balloon", Verb::balloon},
  };
  for (const auto &[text, verb] : kVerbs) {
    if (name == text) return verb;
  }
  return std::nullopt;
}

void checkArgument(const Request &request) {
  switch (request.verb) {
  case Verb::connect:
    return checkInteger(request.argument, kMaximumPort);
  case Verb::release:
  case Verb::balloon:
    return checkInteger(request.argument, kMaximumSafeInteger);
  case Verb::save:
  case Verb::restore: {
    const std::string *path = std::get_if<std::string>(&request.argument);
    if (path == nullptr || path->empty() || path->front() != '/')
      throw Failure(AddonFailure::invalid, "The argument is not one of this verb.", "It takes an absolute path.");
    return;
  }
  case Verb::start:
  case Verb::pause:
  case Verb::resume:
  case Verb::requestStop:
  case Verb::stop:
    if (!std::holds_alternative<std::monostate>(request.argument))
      throw Failure(AddonFailure::invalid, "The argument is not one of this verb.", "It takes none.");
  }
}

} // namespace rosetta_vm
