// The part of IOKit's power management that the addon uses, for the type check on Linux: never part of a build. From
// IOKitLib.h, IOPMLib.h and mach/mach_types.h.
#pragma once
#include <dispatch/dispatch.h>
#include <stdint.h>

typedef uint32_t natural_t;
typedef natural_t mach_port_t;
typedef mach_port_t io_object_t;
typedef io_object_t io_service_t;
typedef io_object_t io_connect_t;
typedef int kern_return_t;
typedef kern_return_t IOReturn;
typedef struct IONotificationPort *IONotificationPortRef;
typedef void (*IOServiceInterestCallback)(void *refcon, io_service_t service, uint32_t messageType,
                                          void *messageArgument);
#define IO_OBJECT_NULL ((io_object_t)0)
#define MACH_PORT_NULL ((mach_port_t)0)

extern "C" {
io_connect_t IORegisterForSystemPower(void *refcon, IONotificationPortRef *port, IOServiceInterestCallback callback,
                                      io_object_t *notifier);
IOReturn IODeregisterForSystemPower(io_object_t *notifier);
IOReturn IOAllowPowerChange(io_connect_t connection, intptr_t notification);
kern_return_t IOServiceClose(io_connect_t connection);
void IONotificationPortDestroy(IONotificationPortRef port);
void IONotificationPortSetDispatchQueue(IONotificationPortRef port, dispatch_queue_t queue);
}
