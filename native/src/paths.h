// Files that the framework is told of. They are looked at first: for some that are missing the framework raises an
// NSException instead of giving an error.
#pragma once
#import <Foundation/Foundation.h>
#include <string>

namespace rosetta_vm {

/// An absolute path of an existing regular file. Throws Failure, NSPOSIXErrorDomain for what stat(2) says.
NSURL *existingFile(NSString *path, const std::string &subject);
/// Like existingFile; also refuses (EACCES, EROFS) a file that this user may not write, unless `readOnly`.
NSURL *diskFile(NSString *path, bool readOnly, const std::string &subject);
/// An absolute path of an existing directory. Throws Failure.
NSURL *existingDirectory(NSString *path, const std::string &subject);
/// An absolute path that need not exist. Throws Failure.
NSURL *fileURL(NSString *path, const std::string &subject);

/// An owner of an open block or character device. Throws Failure.
NSFileHandle *openDevice(NSString *path, bool readOnly, const std::string &subject);
/// An owner of a file opened for appending, created with mode 0600 where it is missing. Throws Failure.
NSFileHandle *openLog(NSString *path, const std::string &subject);

} // namespace rosetta_vm
