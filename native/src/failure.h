// What went wrong, in plain data: VzFailure of host/drivers/vz/addon.ts.
#pragma once
#include <exception>
#include <string>

namespace rosetta_vm {

/// ADDON_DOMAIN of addon.ts: what the addon itself refuses.
inline constexpr const char *kAddonDomain = "RosettaVm";

/// ADDON_FAILURES of addon.ts.
enum class AddonFailure : long {
  invalid = 1,
  needsNewerMacOS = 2,
  needsArm64 = 3,
  absent = 4,
  tooMany = 5,
};

/// Thrown by the core; its fields are the failure's. `code` is errno in NSPOSIXErrorDomain.
struct Failure : std::exception {
  std::string domain;
  long code = 0;
  std::string message;
  std::string reason;
  /// Part of the configuration, such as `disks[1]`, or empty.
  std::string subject;

  Failure(std::string domain, long code, std::string message, std::string reason, std::string subject);
  Failure(AddonFailure code, std::string message, std::string reason, std::string subject = "");
  /// `what` failed with `error`, an errno.
  static Failure posix(int error, const std::string &what, std::string subject = "");

  const char *what() const noexcept override;
  /// VzFailure as JSON, in one line. Texts are cut at kMaximumTextBytes.
  std::string json() const;
};

/// A line of the channel stays far below what the reader takes (MAX_LINE_BYTES of host/drivers/vz/lines.ts).
inline constexpr size_t kMaximumTextBytes = 4096;

/// A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
std::string jsonText(const std::string &text);

} // namespace rosetta_vm
