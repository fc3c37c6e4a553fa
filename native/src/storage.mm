#include "storage.h"
#include "objc_failure.h"
#include "paths.h"

#include <utility>

/// The delegate of one network block device attachment. Its methods may come on any thread.
API_AVAILABLE(macos(14.0))
@interface RVMDiskDelegate : NSObject <VZNetworkBlockDeviceStorageDeviceAttachmentDelegate>
- (instancetype)initWithDisk:(NSUInteger)disk listener:(rosetta_vm::DiskListener)listener;
@end

@implementation RVMDiskDelegate {
  NSUInteger _disk;
  rosetta_vm::DiskListener _listener;
}

- (instancetype)initWithDisk:(NSUInteger)disk listener:(rosetta_vm::DiskListener)listener {
  if ((self = [super init])) {
    _disk = disk;
    _listener = std::move(listener);
  }
  return self;
}

- (void)attachmentWasConnected:(VZNetworkBlockDeviceStorageDeviceAttachment *)attachment {
  _listener(_disk, nil);
}

- (void)attachment:(VZNetworkBlockDeviceStorageDeviceAttachment *)attachment didEncounterError:(NSError *)error {
  _listener(_disk, error);
}
@end

namespace rosetta_vm {

namespace {

VZStorageDeviceAttachment *fileAttachment(Fields &attachment, bool readOnly, const std::string &subject) {
  NSURL *url = diskFile(attachment.text(@"path"), readOnly, subject);
  NSError *error = nil;
  // Always cached and fsync: other modes corrupted Linux guests' disks (utmapp/UTM#4840).
  VZDiskImageStorageDeviceAttachment *made =
      [[VZDiskImageStorageDeviceAttachment alloc] initWithURL:url
                                                     readOnly:readOnly
                                                  cachingMode:VZDiskImageCachingModeCached
                                          synchronizationMode:VZDiskImageSynchronizationModeFsync
                                                        error:&error];
  if (made == nil) throw failureOf(error, subject);
  return made;
}

VZStorageDeviceAttachment *blockAttachment(Fields &attachment, bool readOnly, const std::string &subject) {
  if (@available(macOS 14.0, *)) {
    NSFileHandle *device = openDevice(attachment.text(@"path"), readOnly, subject);
    NSError *error = nil;
    VZDiskBlockDeviceStorageDeviceAttachment *made =
        [[VZDiskBlockDeviceStorageDeviceAttachment alloc] initWithFileHandle:device
                                                                    readOnly:readOnly
                                                         synchronizationMode:VZDiskSynchronizationModeFull
                                                                       error:&error];
    if (made == nil) throw failureOf(error, subject);
    return made;
  }
  throw needsMacOS("14", "A disk on a block device", subject);
}

/// A day: a server that needs longer to answer is gone.
constexpr double kMaximumTimeoutSeconds = 86400;

VZStorageDeviceAttachment *networkAttachment(Fields &attachment, bool readOnly, NSUInteger disk,
                                             const DiskListener &listener, NSMutableArray *delegates,
                                             const std::string &subject) {
  if (@available(macOS 14.0, *)) {
    NSString *text = attachment.text(@"url");
    const double timeout = attachment.number(@"timeout", 0, kMaximumTimeoutSeconds);
    // Programs of the macOS 14 SDK get invalid characters escaped unless they say no: a wrong address must stay wrong.
    NSURL *url = [NSURL URLWithString:text encodingInvalidCharacters:NO];
    if (url == nil) throw Failure(AddonFailure::invalid, "An address is no URL.", toText(text), subject + ".attachment.url");
    NSError *error = nil;
    if (![VZNetworkBlockDeviceStorageDeviceAttachment validateURL:url error:&error]) throw failureOf(error, subject);
    VZNetworkBlockDeviceStorageDeviceAttachment *made =
        [[VZNetworkBlockDeviceStorageDeviceAttachment alloc] initWithURL:url
                                                                 timeout:timeout
                                                          forcedReadOnly:readOnly
                                                     synchronizationMode:VZDiskSynchronizationModeFull
                                                                   error:&error];
    if (made == nil) throw failureOf(error, subject);
    RVMDiskDelegate *delegate = [[RVMDiskDelegate alloc] initWithDisk:disk listener:listener];
    [delegates addObject:delegate];
    made.delegate = delegate;
    return made;
  }
  throw needsMacOS("14", "A network block device", subject);
}

VZStorageDeviceAttachment *attachmentOf(Fields &disk, bool readOnly, NSUInteger index, const DiskListener &listener,
                                        NSMutableArray *delegates) {
  Fields fields = disk.object(@"attachment");
  NSString *kind = fields.text(@"kind");
  VZStorageDeviceAttachment *made;
  if ([kind isEqualToString:@"file"]) {
    made = fileAttachment(fields, readOnly, disk.path());
  } else if ([kind isEqualToString:@"block"]) {
    made = blockAttachment(fields, readOnly, disk.path());
  } else if ([kind isEqualToString:@"nbd"]) {
    made = networkAttachment(fields, readOnly, index, listener, delegates, disk.path());
  } else {
    throw Failure(AddonFailure::invalid, "There is no such kind of disk.", toText(kind), disk.path());
  }
  fields.done();
  return made;
}

VZStorageDeviceConfiguration *deviceOn(NSString *bus, VZStorageDeviceAttachment *attachment,
                                       const std::string &subject) {
  if ([bus isEqualToString:@"virtio"])
    return [[VZVirtioBlockDeviceConfiguration alloc] initWithAttachment:attachment];
  if ([bus isEqualToString:@"usb"])
    return [[VZUSBMassStorageDeviceConfiguration alloc] initWithAttachment:attachment];
  if ([bus isEqualToString:@"nvme"]) {
    if (@available(macOS 14.0, *)) {
      return [[VZNVMExpressControllerDeviceConfiguration alloc] initWithAttachment:attachment];
    }
    throw needsMacOS("14", "An NVMe disk", subject);
  }
  throw Failure(AddonFailure::invalid, "There is no such bus for disks.", toText(bus), subject);
}

} // namespace

Storage makeStorage(Fields &configuration, const DiskListener &listener) {
  NSMutableArray<VZStorageDeviceConfiguration *> *devices = [NSMutableArray array];
  NSMutableArray *delegates = [NSMutableArray array];
  configuration.list(@"disks", [&](Fields &disk, NSUInteger index) {
    withFailures(disk.path(), [&] {
      const bool readOnly = disk.flag(@"readOnly");
      NSString *bus = disk.text(@"bus");
      [devices addObject:deviceOn(bus, attachmentOf(disk, readOnly, index, listener, delegates), disk.path())];
    });
  });
  return {devices, delegates};
}

} // namespace rosetta_vm
