#include "objc_failure.h"

namespace rosetta_vm {

std::string toText(NSString *text) {
  const char *bytes = text.UTF8String;
  return bytes == nullptr ? std::string() : std::string(bytes);
}

NSString *toNSString(const std::string &text) {
  NSString *result = [[NSString alloc] initWithBytes:text.data() length:text.size() encoding:NSUTF8StringEncoding];
  if (result == nil)
    throw Failure(AddonFailure::invalid, "A text is no UTF-8.", "macOS takes names and paths as UTF-8 only.");
  return result;
}

Failure failureOf(NSError *error, const std::string &subject) {
  if (error == nil)
    return Failure("NSCocoaErrorDomain", 0, "It failed without an error.", "The framework gave none.", subject);
  return Failure(toText(error.domain), static_cast<long>(error.code), toText(error.localizedDescription),
                 toText(error.localizedFailureReason), subject);
}

Failure failureOf(NSException *exception, const std::string &subject) {
  return Failure("NSException", 0, toText(exception.name), toText(exception.reason), subject);
}

Failure needsMacOS(const std::string &version, const std::string &what, const std::string &subject) {
  return Failure(AddonFailure::needsNewerMacOS, what + " needs a later macOS.", "It came with macOS " + version + ".",
                 subject);
}

Failure needsArm64(const std::string &what, const std::string &subject) {
  return Failure(AddonFailure::needsArm64, what + " needs an arm64 process.",
                 "The framework offers it on Apple silicon alone, and this process is of another architecture.", subject);
}

} // namespace rosetta_vm
