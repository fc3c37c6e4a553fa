#include "core.h"
#include "lines.h"
#include "objc_failure.h"
#include "virtual_machine.h"

#include <optional>

namespace rosetta_vm {

namespace {

class OwnedMachine : public Machine {
public:
  explicit OwnedMachine(RVMVirtualMachine *machine) : machine_(machine) {}
  ~OwnedMachine() override { [machine_ close]; }
  void request(const Request &request) override { [machine_ perform:request]; }
  void close() override { [machine_ close]; }

private:
  RVMVirtualMachine *machine_;
};

} // namespace

CreatedMachine createMachine(const std::string &configuration) {
  @autoreleasepool {
    return withFailures("", [&] {
      const auto channel = std::make_shared<EventChannel>();
      // Held by the machine's parts, so it holds the channel and not the machine.
      const DiskListener onDisk = [channel](NSUInteger disk, NSError *error) {
        safely([&] {
          std::optional<Failure> failure;
          if (error != nil) failure = failureOf(error, "disks[" + std::to_string(disk) + "]");
          channel->post(diskLine(disk, failure ? &*failure : nullptr));
        });
      };
      RVMVirtualMachine *machine = [[RVMVirtualMachine alloc] initWithParts:makeParts(configuration, onDisk)
                                                                   channel:channel];
      [machine make];
      return CreatedMachine{std::make_shared<OwnedMachine>(machine), channel->takeReader()};
    });
  }
}

} // namespace rosetta_vm
