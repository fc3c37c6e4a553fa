#include "failure.h"

#include <cstdio>
#include <cstring>
#include <utility>

namespace rosetta_vm {

namespace {

constexpr const char *kReplacement = "\xef\xbf\xbd";

/// Bytes of the UTF-8 sequence at `text[at]`, 0 where there is none (RFC 3629, section 4).
size_t sequenceLength(const std::string &text, size_t at) {
  const auto byte = [&](size_t index) -> unsigned {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
  };
  const auto tail = [&](size_t index) { return (byte(index) & 0xc0u) == 0x80u; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(at + 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned second = byte(at + 1);
    const bool overlong = lead == 0xe0 && second < 0xa0;
    const bool surrogate = lead == 0xed && second > 0x9f;
    return tail(at + 1) && tail(at + 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned second = byte(at + 1);
    const bool outside = (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
    return tail(at + 1) && tail(at + 2) && tail(at + 3) && !outside ? 4 : 0;
  }
  return 0;
}

} // namespace

std::string jsonText(const std::string &text) {
  std::string json = "\"";
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequenceLength(text, at);
    const unsigned char byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      json += kReplacement;
    } else if (byte == '"' || byte == '\\') {
      json += '\\';
      json += text[at];
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      json += escape;
    } else {
      json.append(text, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  return json + '"';
}

Failure::Failure(std::string domain, long code, std::string message, std::string reason, std::string subject)
    : domain(std::move(domain)), code(code), message(std::move(message)), reason(std::move(reason)),
      subject(std::move(subject)) {}

Failure::Failure(AddonFailure code, std::string message, std::string reason, std::string subject)
    : Failure(kAddonDomain, static_cast<long>(code), std::move(message), std::move(reason), std::move(subject)) {}

Failure Failure::posix(int error, const std::string &what, std::string subject) {
  return Failure("NSPOSIXErrorDomain", error, what, std::strerror(error), std::move(subject));
}

const char *Failure::what() const noexcept { return message.c_str(); }

std::string Failure::json() const {
  const auto field = [](const std::string &text) { return jsonText(text.substr(0, kMaximumTextBytes)); };
  return "{\"domain\":" + field(domain) + ",\"code\":" + std::to_string(code) + ",\"message\":" + field(message) +
         ",\"reason\":" + field(reason) + ",\"subject\":" + field(subject) + "}";
}

} // namespace rosetta_vm
