// Declarations of the Virtualization.framework classes that the addon uses, written by this project from the facts
// that its documentation names (docs/NATIVE.md). They exist for the type check on Linux and are never part of a
// build: a Mac builds against its own SDK. Selectors, types, nullability and availability follow the macOS 26.5 SDK;
// what the addon does not use is left out. Parts of arm64 alone are inside `#if defined(__arm64__)` in the SDK too.
#pragma once
#import <Foundation/Foundation.h>
#include <dispatch/dispatch.h>

#define RVM_MACOS(version) __attribute__((availability(macos, introduced = version)))
#define RVM_NO_INIT                                                                                                    \
  -(instancetype)init __attribute__((unavailable));                                                                    \
  +(instancetype)new __attribute__((unavailable));
// NS_ENUM keeps the enumeration a type of its own, so that a constant of another one is an error.
#define RVM_ENUM(name) enum name : NSInteger name; enum name : NSInteger

#pragma clang assume_nonnull begin

// VZVirtualMachineConfiguration and its parts

RVM_MACOS(11.0)
@interface VZBootLoader : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZLinuxBootLoader : VZBootLoader
@property(copy) NSURL *kernelURL;
@property(copy) NSString *commandLine;
@property(copy, nullable) NSURL *initialRamdiskURL;
- (instancetype)initWithKernelURL:(NSURL *)kernelURL;
@end

RVM_MACOS(12.0)
@interface VZPlatformConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(13.0)
@interface VZGenericMachineIdentifier : NSObject <NSCopying>
@property(copy, readonly) NSData *dataRepresentation;
- (instancetype)init;
- (nullable instancetype)initWithDataRepresentation:(NSData *)dataRepresentation;
@end

RVM_MACOS(12.0)
@interface VZGenericPlatformConfiguration : VZPlatformConfiguration
@property(copy) VZGenericMachineIdentifier *machineIdentifier RVM_MACOS(13.0);
- (instancetype)init;
@end

// Storage

RVM_MACOS(11.0)
@interface VZStorageDeviceAttachment : NSObject
RVM_NO_INIT
@end

typedef RVM_ENUM(VZDiskImageCachingMode){
    VZDiskImageCachingModeAutomatic = 0,
    VZDiskImageCachingModeUncached = 1,
    VZDiskImageCachingModeCached = 2,
} RVM_MACOS(12.0);

// Two different types with different numbers: disk images have fsync, block devices and NBD have not.
typedef RVM_ENUM(VZDiskImageSynchronizationMode){
    VZDiskImageSynchronizationModeFull = 1,
    VZDiskImageSynchronizationModeFsync = 2,
    VZDiskImageSynchronizationModeNone = 3,
} RVM_MACOS(12.0);

typedef RVM_ENUM(VZDiskSynchronizationMode){
    VZDiskSynchronizationModeFull = 0,
    VZDiskSynchronizationModeNone = 1,
} RVM_MACOS(14.0);

RVM_MACOS(11.0)
@interface VZDiskImageStorageDeviceAttachment : VZStorageDeviceAttachment
- (nullable instancetype)initWithURL:(NSURL *)url
                            readOnly:(BOOL)readOnly
                         cachingMode:(VZDiskImageCachingMode)cachingMode
                 synchronizationMode:(VZDiskImageSynchronizationMode)synchronizationMode
                               error:(NSError *_Nullable *_Nullable)error RVM_MACOS(12.0);
@end

RVM_MACOS(14.0)
@interface VZDiskBlockDeviceStorageDeviceAttachment : VZStorageDeviceAttachment
- (nullable instancetype)initWithFileHandle:(NSFileHandle *)fileHandle
                                   readOnly:(BOOL)readOnly
                        synchronizationMode:(VZDiskSynchronizationMode)synchronizationMode
                                      error:(NSError *_Nullable *_Nullable)error;
@end

@protocol VZNetworkBlockDeviceStorageDeviceAttachmentDelegate;

RVM_MACOS(14.0)
@interface VZNetworkBlockDeviceStorageDeviceAttachment : VZStorageDeviceAttachment
@property(copy, readonly) NSURL *URL;
@property(weak, nullable) id<VZNetworkBlockDeviceStorageDeviceAttachmentDelegate> delegate;
- (nullable instancetype)initWithURL:(NSURL *)URL
                             timeout:(NSTimeInterval)timeout
                      forcedReadOnly:(BOOL)forcedReadOnly
                 synchronizationMode:(VZDiskSynchronizationMode)synchronizationMode
                               error:(NSError *_Nullable *_Nullable)error;
+ (BOOL)validateURL:(NSURL *)URL error:(NSError *_Nullable *_Nullable)error;
@end

RVM_MACOS(14.0)
@protocol VZNetworkBlockDeviceStorageDeviceAttachmentDelegate <NSObject>
@optional
- (void)attachmentWasConnected:(VZNetworkBlockDeviceStorageDeviceAttachment *)attachment;
- (void)attachment:(VZNetworkBlockDeviceStorageDeviceAttachment *)attachment didEncounterError:(NSError *)error;
@end

RVM_MACOS(11.0)
@interface VZStorageDeviceConfiguration : NSObject <NSCopying>
@property(readonly, strong) VZStorageDeviceAttachment *attachment;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioBlockDeviceConfiguration : VZStorageDeviceConfiguration
- (instancetype)initWithAttachment:(VZStorageDeviceAttachment *)attachment;
@end

RVM_MACOS(13.0)
@interface VZUSBMassStorageDeviceConfiguration : VZStorageDeviceConfiguration
- (instancetype)initWithAttachment:(VZStorageDeviceAttachment *)attachment;
@end

RVM_MACOS(14.0)
@interface VZNVMExpressControllerDeviceConfiguration : VZStorageDeviceConfiguration
- (instancetype)initWithAttachment:(VZStorageDeviceAttachment *)attachment;
@end

// Shared directories

RVM_MACOS(12.0)
@interface VZDirectorySharingDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZDirectoryShare : NSObject
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZVirtioFileSystemDeviceConfiguration : VZDirectorySharingDeviceConfiguration
@property(copy) NSString *tag;
@property(strong, nullable) VZDirectoryShare *share;
- (instancetype)initWithTag:(NSString *)tag;
+ (BOOL)validateTag:(NSString *)tag error:(NSError *_Nullable *_Nullable)error;
@end

RVM_MACOS(12.0)
@interface VZSharedDirectory : NSObject
- (instancetype)initWithURL:(NSURL *)url readOnly:(BOOL)readOnly;
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZSingleDirectoryShare : VZDirectoryShare
- (instancetype)initWithDirectory:(VZSharedDirectory *)directory;
@end

#if defined(__arm64__)
typedef RVM_ENUM(VZLinuxRosettaAvailability){
    VZLinuxRosettaAvailabilityNotSupported = 0,
    VZLinuxRosettaAvailabilityNotInstalled = 1,
    VZLinuxRosettaAvailabilityInstalled = 2,
} RVM_MACOS(13.0);

RVM_MACOS(14.0)
@interface VZLinuxRosettaCachingOptions : NSObject
RVM_NO_INIT
@end

RVM_MACOS(14.0)
@interface VZLinuxRosettaUnixSocketCachingOptions : VZLinuxRosettaCachingOptions
@property(class, readonly) NSUInteger maximumPathLength;
- (nullable instancetype)initWithPath:(NSString *)path error:(NSError *_Nullable *_Nullable)error;
- (instancetype)init;
@end

RVM_MACOS(14.0)
@interface VZLinuxRosettaAbstractSocketCachingOptions : VZLinuxRosettaCachingOptions
@property(class, readonly) NSUInteger maximumNameLength;
- (nullable instancetype)initWithName:(NSString *)name error:(NSError *_Nullable *_Nullable)error;
@end

RVM_MACOS(13.0)
@interface VZLinuxRosettaDirectoryShare : VZDirectoryShare
@property(strong, nullable) VZLinuxRosettaCachingOptions *options RVM_MACOS(14.0);
@property(class, readonly) VZLinuxRosettaAvailability availability;
- (nullable instancetype)initWithError:(NSError *_Nullable *_Nullable)error;
+ (void)installRosettaWithCompletionHandler:(void (^)(NSError *_Nullable))completionHandler;
@end
#endif

// Network

RVM_MACOS(11.0)
@interface VZMACAddress : NSObject <NSCopying>
- (nullable instancetype)initWithString:(NSString *)string;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZNetworkDeviceAttachment : NSObject
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZNATNetworkDeviceAttachment : VZNetworkDeviceAttachment
- (instancetype)init;
@end

RVM_MACOS(11.0)
@interface VZNetworkDeviceConfiguration : NSObject <NSCopying>
@property(copy, readwrite) VZMACAddress *MACAddress;
@property(readwrite, strong, nullable) VZNetworkDeviceAttachment *attachment;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioNetworkDeviceConfiguration : VZNetworkDeviceConfiguration
- (instancetype)init;
@end

RVM_MACOS(12.0)
@interface VZNetworkDevice : NSObject
@property(strong, nullable) VZNetworkDeviceAttachment *attachment;
RVM_NO_INIT
@end

// Serial port, entropy, memory balloon, vsock

RVM_MACOS(11.0)
@interface VZSerialPortAttachment : NSObject
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZFileHandleSerialPortAttachment : VZSerialPortAttachment
- (instancetype)initWithFileHandleForReading:(nullable NSFileHandle *)fileHandleForReading
                        fileHandleForWriting:(nullable NSFileHandle *)fileHandleForWriting;
@end

RVM_MACOS(11.0)
@interface VZSerialPortConfiguration : NSObject <NSCopying>
@property(readwrite, strong, nullable) VZSerialPortAttachment *attachment;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioConsoleDeviceSerialPortConfiguration : VZSerialPortConfiguration
- (instancetype)init;
@end

RVM_MACOS(11.0)
@interface VZEntropyDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioEntropyDeviceConfiguration : VZEntropyDeviceConfiguration
- (instancetype)init;
@end

RVM_MACOS(11.0)
@interface VZMemoryBalloonDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioTraditionalMemoryBalloonDeviceConfiguration : VZMemoryBalloonDeviceConfiguration
- (instancetype)init;
@end

RVM_MACOS(11.0)
@interface VZMemoryBalloonDevice : NSObject
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioTraditionalMemoryBalloonDevice : VZMemoryBalloonDevice
@property(readwrite) uint64_t targetVirtualMachineMemorySize;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZSocketDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioSocketDeviceConfiguration : VZSocketDeviceConfiguration
- (instancetype)init;
@end

RVM_MACOS(11.0)
@interface VZSocketDevice : NSObject
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioSocketConnection : NSObject
@property(readonly) uint32_t destinationPort;
@property(readonly) uint32_t sourcePort;
@property(readonly) int fileDescriptor;
- (void)close;
RVM_NO_INIT
@end

RVM_MACOS(11.0)
@interface VZVirtioSocketDevice : VZSocketDevice
- (void)connectToPort:(uint32_t)port
    completionHandler:(void (^)(VZVirtioSocketConnection *_Nullable connection, NSError *_Nullable error))completionHandler;
RVM_NO_INIT
@end

// Display, keyboards, pointing devices

RVM_MACOS(14.0)
@interface VZGraphicsDisplayConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZGraphicsDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

// The facts give its superclass a later macOS (14.0) than itself; without this clang would refuse the pair.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunguarded-availability-new"
RVM_MACOS(13.0)
@interface VZVirtioGraphicsScanoutConfiguration : VZGraphicsDisplayConfiguration
@property NSInteger widthInPixels;
@property NSInteger heightInPixels;
- (instancetype)initWithWidthInPixels:(NSInteger)widthInPixels heightInPixels:(NSInteger)heightInPixels;
@end
#pragma clang diagnostic pop

RVM_MACOS(13.0)
@interface VZVirtioGraphicsDeviceConfiguration : VZGraphicsDeviceConfiguration
@property(copy) NSArray<VZVirtioGraphicsScanoutConfiguration *> *scanouts;
- (instancetype)init;
@end

RVM_MACOS(12.0)
@interface VZKeyboardConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZUSBKeyboardConfiguration : VZKeyboardConfiguration
- (instancetype)init;
@end

#if defined(__arm64__)
RVM_MACOS(14.0)
@interface VZMacKeyboardConfiguration : VZKeyboardConfiguration
- (instancetype)init;
@end
#endif

RVM_MACOS(12.0)
@interface VZPointingDeviceConfiguration : NSObject <NSCopying>
RVM_NO_INIT
@end

RVM_MACOS(12.0)
@interface VZUSBScreenCoordinatePointingDeviceConfiguration : VZPointingDeviceConfiguration
- (instancetype)init;
@end

// The configuration and the machine

RVM_MACOS(11.0)
@interface VZVirtualMachineConfiguration : NSObject <NSCopying>
@property(strong, nullable) VZBootLoader *bootLoader;
@property(readwrite) uint64_t memorySize;
@property(readwrite) NSUInteger CPUCount;
@property(strong) VZPlatformConfiguration *platform RVM_MACOS(12.0);
@property(copy, readwrite)
    NSArray<VZDirectorySharingDeviceConfiguration *> *directorySharingDevices RVM_MACOS(12.0);
@property(copy, readwrite) NSArray<VZEntropyDeviceConfiguration *> *entropyDevices;
@property(copy, readwrite) NSArray<VZMemoryBalloonDeviceConfiguration *> *memoryBalloonDevices;
@property(copy, readwrite) NSArray<VZNetworkDeviceConfiguration *> *networkDevices;
@property(copy, readwrite) NSArray<VZSerialPortConfiguration *> *serialPorts;
@property(copy, readwrite) NSArray<VZSocketDeviceConfiguration *> *socketDevices;
@property(copy, readwrite) NSArray<VZStorageDeviceConfiguration *> *storageDevices;
@property(copy) NSArray<VZKeyboardConfiguration *> *keyboards RVM_MACOS(12.0);
@property(copy) NSArray<VZPointingDeviceConfiguration *> *pointingDevices RVM_MACOS(12.0);
@property(copy) NSArray<VZGraphicsDeviceConfiguration *> *graphicsDevices RVM_MACOS(12.0);
@property(class, readonly) uint64_t minimumAllowedMemorySize;
@property(class, readonly) uint64_t maximumAllowedMemorySize;
@property(class, readonly) NSUInteger minimumAllowedCPUCount;
@property(class, readonly) NSUInteger maximumAllowedCPUCount;
- (BOOL)validateWithError:(NSError *_Nullable *_Nullable)error;
#if defined(__arm64__)
- (BOOL)validateSaveRestoreSupportWithError:(NSError *_Nullable *_Nullable)error RVM_MACOS(14.0);
#endif
@end

typedef RVM_ENUM(VZVirtualMachineState){
    VZVirtualMachineStateStopped = 0,
    VZVirtualMachineStateRunning = 1,
    VZVirtualMachineStatePaused = 2,
    VZVirtualMachineStateError = 3,
    VZVirtualMachineStateStarting = 4,
    VZVirtualMachineStatePausing = 5,
    VZVirtualMachineStateResuming = 6,
    VZVirtualMachineStateStopping RVM_MACOS(12.0) = 7,
    VZVirtualMachineStateSaving RVM_MACOS(14.0) = 8,
    VZVirtualMachineStateRestoring RVM_MACOS(14.0) = 9,
} RVM_MACOS(11.0);

@class VZVirtualMachine;

RVM_MACOS(11.0)
@protocol VZVirtualMachineDelegate <NSObject>
@optional
- (void)guestDidStopVirtualMachine:(VZVirtualMachine *)virtualMachine;
- (void)virtualMachine:(VZVirtualMachine *)virtualMachine didStopWithError:(NSError *)error;
- (void)virtualMachine:(VZVirtualMachine *)virtualMachine
                             networkDevice:(VZNetworkDevice *)networkDevice
    attachmentWasDisconnectedWithError:(NSError *)error RVM_MACOS(12.0);
@end

RVM_MACOS(11.0)
@interface VZVirtualMachine : NSObject
@property(class, readonly, getter=isSupported) BOOL supported;
@property(readonly) VZVirtualMachineState state;
@property(weak, nullable) id<VZVirtualMachineDelegate> delegate;
@property(copy, readonly) NSArray<VZMemoryBalloonDevice *> *memoryBalloonDevices;
@property(copy, readonly) NSArray<VZSocketDevice *> *socketDevices;
// The one without a queue uses the main queue, which Node never drains: not declared, so that using it is an error.
- (instancetype)initWithConfiguration:(VZVirtualMachineConfiguration *)configuration queue:(dispatch_queue_t)queue;
- (void)startWithCompletionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler;
- (void)stopWithCompletionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler RVM_MACOS(12.0);
- (void)pauseWithCompletionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler;
- (void)resumeWithCompletionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler;
- (BOOL)requestStopWithError:(NSError *_Nullable *_Nullable)error;
#if defined(__arm64__)
- (void)saveMachineStateToURL:(NSURL *)saveFileURL
            completionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler RVM_MACOS(14.0);
- (void)restoreMachineStateFromURL:(NSURL *)saveFileURL
                 completionHandler:(void (^)(NSError *_Nullable errorOrNil))completionHandler RVM_MACOS(14.0);
#endif
RVM_NO_INIT
@end

#pragma clang assume_nonnull end
