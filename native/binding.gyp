# The native addon for macOS on Apple silicon: `npm run build:native`. It is not at the repository's root, since npm
# would then run node-gyp on every install. docs/NATIVE.md tells how its flags are checked without a Mac.
{
  "targets": [
    {
      "target_name": "vz",
      "sources": [
        "src/addon.cc",
        "src/configuration.mm",
        "src/connections.mm",
        "src/event_channel.cc",
        "src/failure.cc",
        "src/fields.mm",
        "src/host_report.mm",
        "src/lines.cc",
        "src/machine.mm",
        "src/objc_failure.mm",
        "src/paths.mm",
        "src/rosetta.mm",
        "src/sharing.mm",
        "src/storage.mm",
        "src/verb.cc",
        "src/virtual_machine.mm",
        "src/wake.mm",
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # Node-API 8: one binary for Node 20 and every later one.
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "CLANG_CXX_LIBRARY": "libc++",
        "CLANG_ENABLE_OBJC_ARC": "YES",
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        # node's default is off: then a catch of std::exception need not match what libc++'s own library throws.
        "GCC_ENABLE_CPP_RTTI": "YES",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        # Rosetta in Linux machines came with macOS 13; what came later is behind @available.
        "MACOSX_DEPLOYMENT_TARGET": "13.0",
        "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror=unguarded-availability-new"],
      },
      "link_settings": {
        "libraries": [
          "Foundation.framework",
          "IOKit.framework",
          "Security.framework",
          "Virtualization.framework",
        ],
      },
    },
  ],
}
