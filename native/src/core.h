// The addon without N-API: what addon.cc turns into VzAddon of host/drivers/vz/addon.ts, and what a helper executable
// would turn into lines on its standard streams.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace rosetta_vm {

/// ADDON_PROTOCOL of addon.ts.
inline constexpr int kProtocol = 1;

/// VzVerb of addon.ts.
enum class Verb { start, pause, resume, requestStop, stop, connect, release, save, restore, balloon };

/// Nothing for a name that is no verb.
std::optional<Verb> verbNamed(const std::string &name);

using Argument = std::variant<std::monostate, double, std::string>;

struct Request {
  /// Comes back in the reply.
  int64_t id;
  Verb verb;
  Argument argument;
};

/// Throws Failure (`invalid`) when the argument is not the verb's own (VzVerb of addon.ts says which it takes).
void checkArgument(const Request &request);

/// One virtual machine, from any thread; the work is done on its own serial queue.
class Machine {
public:
  virtual ~Machine() = default;
  /// Returns at once; the reply is a line on the machine's channel. The argument was checked (checkArgument).
  virtual void request(const Request &request) = 0;
  /// See closeMachine of addon.ts. A second call does nothing.
  virtual void close() = 0;
};

struct CreatedMachine {
  std::shared_ptr<Machine> machine;
  /// The reader's end of the machine's channel, the caller's.
  int events;
};

/// VzHostReport as JSON.
std::string hostReport() noexcept;

/// Base64 of a new VZGenericMachineIdentifier's dataRepresentation. Throws Failure.
std::string newMachineIdentifier();

/// `configuration`: VzConfiguration as JSON. Throws Failure.
CreatedMachine createMachine(const std::string &configuration);

/// The reader's end of a channel with one reply. Throws Failure.
int installRosetta();

/// The reader's end of a channel of wake events; closing it ends the watch. Throws Failure.
int watchWake();

} // namespace rosetta_vm
