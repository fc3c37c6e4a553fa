#include "configuration.h"
#include "core.h"
#include "objc_failure.h"
#include "paths.h"
#include "sharing.h"

namespace rosetta_vm {

namespace {

/// Linux's COMMAND_LINE_SIZE on arm64 (arch/arm64/include/uapi/asm/setup.h).
constexpr size_t kMaximumCommandLineBytes = 2048;
/// The longest side of a display: beyond what any guest's driver takes.
constexpr uint64_t kMaximumPixels = 16384;
/// 2^53: the framework's own limits are checked by its validation.
constexpr uint64_t kMaximumExactInteger = 9007199254740992;

VZBootLoader *bootLoaderOf(Fields &configuration) {
  Fields fields = configuration.object(@"bootLoader");
  const std::string place = fields.path();
  VZLinuxBootLoader *loader = [[VZLinuxBootLoader alloc]
      initWithKernelURL:existingFile(fields.text(@"kernelURL"), place + ".kernelURL")];
  NSString *initialRamdisk = fields.textOrNull(@"initialRamdiskURL");
  if (initialRamdisk != nil) loader.initialRamdiskURL = existingFile(initialRamdisk, place + ".initialRamdiskURL");
  loader.commandLine = fields.text(@"commandLine", kMaximumCommandLineBytes);
  fields.done();
  return loader;
}

VZPlatformConfiguration *platformOf(Fields &configuration) {
  VZGenericPlatformConfiguration *platform = [[VZGenericPlatformConfiguration alloc] init];
  NSString *text = configuration.text(@"machineIdentifier");
  // The platform has a new one from its beginning.
  if (text.length == 0) return platform;
  NSData *data = [[NSData alloc] initWithBase64EncodedString:text options:0];
  VZGenericMachineIdentifier *identifier =
      data == nil ? nil : [[VZGenericMachineIdentifier alloc] initWithDataRepresentation:data];
  if (identifier == nil)
    throw Failure(AddonFailure::invalid, "The machine identifier cannot be read.",
                  "It is not what VZGenericMachineIdentifier.dataRepresentation gave.", "machineIdentifier");
  platform.machineIdentifier = identifier;
  return platform;
}

VZNetworkDeviceConfiguration *networkOf(Fields &configuration) {
  Fields fields = configuration.object(@"network");
  NSString *text = fields.text(@"MACAddress");
  VZMACAddress *address = [[VZMACAddress alloc] initWithString:text];
  if (address == nil)
    throw Failure(AddonFailure::invalid, "The MAC address cannot be read.", toText(text), "network.MACAddress");
  VZVirtioNetworkDeviceConfiguration *device = [[VZVirtioNetworkDeviceConfiguration alloc] init];
  device.MACAddress = address;
  device.attachment = [[VZNATNetworkDeviceAttachment alloc] init];
  fields.done();
  return device;
}

VZSerialPortConfiguration *serialPortOn(NSFileHandle *log) {
  VZVirtioConsoleDeviceSerialPortConfiguration *port = [[VZVirtioConsoleDeviceSerialPortConfiguration alloc] init];
  port.attachment = [[VZFileHandleSerialPortAttachment alloc] initWithFileHandleForReading:nil
                                                                      fileHandleForWriting:log];
  return port;
}

NSArray<VZKeyboardConfiguration *> *keyboardsOf(bool macKeyboard) {
  NSMutableArray<VZKeyboardConfiguration *> *keyboards =
      [NSMutableArray arrayWithObject:[[VZUSBKeyboardConfiguration alloc] init]];
  if (!macKeyboard) return keyboards;
#if defined(__arm64__)
  if (@available(macOS 14.0, *)) {
    [keyboards addObject:[[VZMacKeyboardConfiguration alloc] init]];
    return keyboards;
  }
  throw needsMacOS("14", "The Mac keyboard", "macKeyboard");
#else
  throw needsArm64("The Mac keyboard", "macKeyboard");
#endif
}

/// Display, keyboards and pointing device, or none of them.
void addDisplay(Fields &configuration, VZVirtualMachineConfiguration *made) {
  const bool macKeyboard = configuration.flag(@"macKeyboard");
  if (configuration.isNull(@"graphics")) return;
  Fields fields = configuration.object(@"graphics");
  const NSInteger width = static_cast<NSInteger>(fields.integer(@"widthInPixels", 1, kMaximumPixels));
  const NSInteger height = static_cast<NSInteger>(fields.integer(@"heightInPixels", 1, kMaximumPixels));
  fields.done();
  VZVirtioGraphicsDeviceConfiguration *graphics = [[VZVirtioGraphicsDeviceConfiguration alloc] init];
  graphics.scanouts = @[ [[VZVirtioGraphicsScanoutConfiguration alloc] initWithWidthInPixels:width
                                                                              heightInPixels:height] ];
  made.graphicsDevices = @[ graphics ];
  made.keyboards = keyboardsOf(macKeyboard);
  made.pointingDevices = @[ [[VZUSBScreenCoordinatePointingDeviceConfiguration alloc] init] ];
}

} // namespace

std::string newMachineIdentifier() {
  @autoreleasepool {
    return withFailures("", [] {
      VZGenericMachineIdentifier *identifier = [[VZGenericMachineIdentifier alloc] init];
      return toText([identifier.dataRepresentation base64EncodedStringWithOptions:0]);
    });
  }
}

MachineParts makeParts(const std::string &json, const DiskListener &listener) {
  Fields fields = Fields::parse(json);
  VZVirtualMachineConfiguration *made = [[VZVirtualMachineConfiguration alloc] init];
  NSString *label = fields.text(@"label");
  made.CPUCount = static_cast<NSUInteger>(fields.integer(@"CPUCount", 1, kMaximumExactInteger));
  made.memorySize = fields.integer(@"memorySize", 1, kMaximumExactInteger);
  made.platform = platformOf(fields);
  made.bootLoader = withFailures("bootLoader", [&] { return bootLoaderOf(fields); });
  const Storage storage = makeStorage(fields, listener);
  made.storageDevices = storage.devices;
  made.directorySharingDevices = makeShares(fields);
  made.networkDevices = @[ networkOf(fields) ];
  NSFileHandle *log = openLog(fields.text(@"serialLog"), "serialLog");
  made.serialPorts = @[ serialPortOn(log) ];
  made.entropyDevices = @[ [[VZVirtioEntropyDeviceConfiguration alloc] init] ];
  made.memoryBalloonDevices = @[ [[VZVirtioTraditionalMemoryBalloonDeviceConfiguration alloc] init] ];
  made.socketDevices = @[ [[VZVirtioSocketDeviceConfiguration alloc] init] ];
  addDisplay(fields, made);
  fields.done();
  NSError *error = nil;
  if (![made validateWithError:&error]) throw failureOf(error);
  return {label, made, [storage.delegates arrayByAddingObject:log]};
}

} // namespace rosetta_vm
