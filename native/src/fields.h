// Reading VzConfiguration: every field checked, bounded and named in the failure.
#pragma once
#import <Foundation/Foundation.h>
#include <cstdint>
#include <functional>
#include <string>

namespace rosetta_vm {

/// PATH_MAX of Linux, the larger one; the framework's own limits come on top.
inline constexpr size_t kMaximumTextFieldBytes = 4096;
/// Disks or shares: more than a machine has buses for.
inline constexpr NSUInteger kMaximumListLength = 64;

/**
 * One JSON object. Each reader throws Failure (`invalid`) with the field's path when the field is missing, of another
 * type or outside its bounds; `done` throws when the object has a field that nobody read.
 */
class Fields {
public:
  /// Parses a whole text. Throws Failure.
  static Fields parse(const std::string &json);

  /// Where this object is, such as `disks[1]`; empty for the whole.
  const std::string &path() const { return path_; }

  NSString *text(NSString *name, size_t maximumBytes = kMaximumTextFieldBytes);
  /// Like `text`, and nil for null.
  NSString *textOrNull(NSString *name);
  bool flag(NSString *name);
  uint64_t integer(NSString *name, uint64_t minimum, uint64_t maximum);
  double number(NSString *name, double minimum, double maximum);
  Fields object(NSString *name);
  bool isNull(NSString *name);
  /// Calls `each` with every object of a list and its place.
  void list(NSString *name, const std::function<void(Fields &, NSUInteger)> &each);
  void done() const;

private:
  Fields(NSDictionary *values, std::string path);
  id take(NSString *name);
  std::string place(NSString *name) const;

  NSDictionary *values_;
  NSMutableSet *read_;
  std::string path_;
};

} // namespace rosetta_vm
