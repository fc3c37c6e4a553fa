#!/bin/sh
# Packs Debian's copies of the dependencies into vendor/, under names without their versions as package.json has them, and
# writes the lock file with the digests of these archives. Without network.
set -e
cd "$(dirname "$0")"
rm -rf vendor package-lock.json
mkdir vendor
packages=$(sed -n 's,.*"file:vendor/\(.*\)\.tgz".*,/usr/share/nodejs/\1,p' package.json)
# The packages' scripts build them from sources that Debian's copies do not have.
npm pack --ignore-scripts --silent --pack-destination vendor $packages > /dev/null
for archive in vendor/*.tgz; do
  mv "$archive" "${archive%-[0-9]*}.tgz"
done
npm install --package-lock-only --offline --ignore-scripts --no-audit --no-fund
