// GNUstep includes it where it takes the target for macOS; the addon uses nothing of it. Never part of a build.
#pragma once
