#include "fields.h"
#include "objc_failure.h"

#include <cmath>

namespace rosetta_vm {

namespace {

Failure wrong(const std::string &place, const std::string &rule) {
  return Failure(AddonFailure::invalid, "The configuration is not as the contract says.",
                 (place.empty() ? "It" : place) + " " + rule + ".", place);
}

/// JSON's true and false are NSNumbers as well: the two that @YES and @NO are (kCFBooleanTrue, kCFBooleanFalse).
bool isBoolean(NSNumber *value) { return value == (id)@YES || value == (id)@NO; }

} // namespace

Fields::Fields(NSDictionary *values, std::string path)
    : values_(values), read_([NSMutableSet set]), path_(std::move(path)) {}

Fields Fields::parse(const std::string &json) {
  NSError *error = nil;
  NSData *data = [NSData dataWithBytes:json.data() length:json.size()];
  id value = [NSJSONSerialization JSONObjectWithData:data options:0 error:&error];
  if (value == nil) throw wrong("", "is no JSON: " + toText(error.localizedDescription));
  if (![value isKindOfClass:[NSDictionary class]]) throw wrong("", "must be an object");
  return Fields((NSDictionary *)value, "");
}

std::string Fields::place(NSString *name) const { return path_.empty() ? toText(name) : path_ + "." + toText(name); }

id Fields::take(NSString *name) {
  [read_ addObject:name];
  id value = values_[name];
  if (value == nil) throw wrong(place(name), "is missing");
  return value;
}

NSString *Fields::text(NSString *name, size_t maximumBytes) {
  id value = take(name);
  if (![value isKindOfClass:[NSString class]]) throw wrong(place(name), "must be a text");
  NSString *text = (NSString *)value;
  const std::string bytes = toText(text);
  // UTF8String ends at the first NUL.
  if (bytes.size() != [text lengthOfBytesUsingEncoding:NSUTF8StringEncoding])
    throw wrong(place(name), "must not hold a NUL character");
  if (bytes.size() > maximumBytes)
    throw wrong(place(name), "is longer than " + std::to_string(maximumBytes) + " bytes");
  return text;
}

NSString *Fields::textOrNull(NSString *name) { return isNull(name) ? nil : text(name); }

bool Fields::flag(NSString *name) {
  id value = take(name);
  if (![value isKindOfClass:[NSNumber class]] || !isBoolean((NSNumber *)value))
    throw wrong(place(name), "must be true or false");
  return [(NSNumber *)value boolValue] != NO;
}

double Fields::number(NSString *name, double minimum, double maximum) {
  id value = take(name);
  if (![value isKindOfClass:[NSNumber class]] || isBoolean((NSNumber *)value))
    throw wrong(place(name), "must be a number");
  const double number = [(NSNumber *)value doubleValue];
  if (!(number >= minimum && number <= maximum))
    throw wrong(place(name), "must be from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  return number;
}

uint64_t Fields::integer(NSString *name, uint64_t minimum, uint64_t maximum) {
  // Numbers of JSON are doubles: beyond 2^53 an integer is no longer exact, so no field may ask for more.
  const double value = number(name, static_cast<double>(minimum), static_cast<double>(maximum));
  if (value != std::floor(value)) throw wrong(place(name), "must be an integer");
  return static_cast<uint64_t>(value);
}

Fields Fields::object(NSString *name) {
  id value = take(name);
  if (![value isKindOfClass:[NSDictionary class]]) throw wrong(place(name), "must be an object");
  return Fields((NSDictionary *)value, place(name));
}

bool Fields::isNull(NSString *name) { return take(name) == [NSNull null]; }

void Fields::list(NSString *name, const std::function<void(Fields &, NSUInteger)> &each) {
  id value = take(name);
  if (![value isKindOfClass:[NSArray class]]) throw wrong(place(name), "must be a list");
  NSArray *items = (NSArray *)value;
  if (items.count > kMaximumListLength)
    throw wrong(place(name), "has more than " + std::to_string(kMaximumListLength) + " entries");
  for (NSUInteger at = 0; at < items.count; at++) {
    const std::string itemPlace = place(name) + "[" + std::to_string(at) + "]";
    id item = items[at];
    if (![item isKindOfClass:[NSDictionary class]]) throw wrong(itemPlace, "must be an object");
    Fields fields((NSDictionary *)item, itemPlace);
    each(fields, at);
    fields.done();
  }
}

void Fields::done() const {
  for (NSString *name in values_) {
    if (![read_ containsObject:name]) throw wrong(place(name), "is not a field that this addon knows");
  }
}

} // namespace rosetta_vm
