// Rosetta for Linux guests: its share, its caching options, and what the framework says of it. arm64 processes only.
#pragma once
#import <Virtualization/Virtualization.h>
#include <optional>
#include <string>

#include "failure.h"
#include "fields.h"

namespace rosetta_vm {

/// Of `rosetta`, with its `caching`. Throws Failure.
VZDirectoryShare *makeRosettaShare(Fields &rosetta);

/// `rosetta` of VzHostReport.
struct RosettaReport {
  const char *availability = "absent";
  bool share = false;
  std::optional<Failure> error;
  NSUInteger maximumSocketPathBytes = 0;
  NSUInteger maximumSocketNameBytes = 0;
};

/// Asks the framework; no file or process is looked at (macOS 27 has translation with neither). Throws Failure.
RosettaReport reportRosetta();

} // namespace rosetta_vm
