// Foundation's errors as Failure, and the version checks' one wording.
#pragma once
#import <Foundation/Foundation.h>
#include <string>

#include "failure.h"

namespace rosetta_vm {

std::string toText(NSString *text);
NSString *toNSString(const std::string &text);

/// A nil error (which the framework should never hand over) becomes a failure that says so.
Failure failureOf(NSError *error, const std::string &subject = "");
/// Domain `NSException`, code 0.
Failure failureOf(NSException *exception, const std::string &subject = "");

/// The other branch of every `@available`: `what` needs macOS `version`, such as "14".
Failure needsMacOS(const std::string &version, const std::string &what, const std::string &subject = "");
/// The other branch of every `#if defined(__arm64__)`.
Failure needsArm64(const std::string &what, const std::string &subject = "");

/// Runs `work`; an NSException, which the framework raises for some bad arguments, is thrown on as a Failure.
template <typename Work> auto withFailures(const std::string &subject, Work work) -> decltype(work()) {
  @try {
    return work();
  } @catch (NSException *exception) {
    throw failureOf(exception, subject);
  }
}

/**
 * Runs `work` where nobody is left to throw to: in a delegate's method or a completion handler, on a queue of
 * libdispatch, where anything thrown would end the process. What is thrown goes to the log.
 */
template <typename Work> void safely(Work work) {
  @try {
    try {
      work();
    } catch (const std::exception &error) {
      NSLog(@"rosetta-vm: an event of a machine was lost: %s", error.what());
    }
  } @catch (NSException *exception) {
    NSLog(@"rosetta-vm: an event of a machine was lost: %@", exception);
  }
}

} // namespace rosetta_vm
