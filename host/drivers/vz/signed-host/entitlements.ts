/**
 * Entitlements of the signed copy of node. Only the process's main executable brings them: the addon cannot
 * (developer.apple.com, com.apple.security.virtualization).
 */

/** The one that Virtualization.framework asks for; an ad-hoc signature may carry it. */
export const VIRTUALIZATION = 'com.apple.security.virtualization';

/**
 * - the next five are those of nodejs/node tools/osx-entitlements.plist: they matter only under the hardened runtime,
 *   where V8 traps without the first three and the addon and Homebrew's libnode are refused without the others;
 * - `network.client` is what VZNetworkBlockDeviceStorageDeviceAttachment's header asks for (lima and vfkit carry it).
 *
 * Nothing restricted may be added: one such key (com.apple.vm.networking) in an ad-hoc signature and the kernel kills
 * the process without a word (openai/tart#1285).
 */
export const ENTITLEMENTS: readonly string[] = [
  VIRTUALIZATION,
  'com.apple.security.cs.allow-jit',
  'com.apple.security.cs.allow-unsigned-executable-memory',
  'com.apple.security.cs.disable-executable-page-protection',
  'com.apple.security.cs.disable-library-validation',
  'com.apple.security.cs.allow-dyld-environment-variables',
  'com.apple.security.network.client',
];

/** A property list, as `codesign --entitlements` reads it. */
export function entitlementsPlist(keys: readonly string[] = ENTITLEMENTS): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    '<dict>',
    ...keys.flatMap((key) => [`  <key>${key}</key>`, '  <true/>']),
    '</dict>',
    '</plist>',
    '',
  ].join('\n');
}

/** Keys that are true in what `codesign -d --entitlements - --xml` prints; empty for a signature without any. */
export function grantedEntitlements(xml: string): string[] {
  return [...xml.matchAll(/<key>([^<]{1,200})<\/key>\s*<true\s*\/>/g)].map(([, key = '']) => key);
}
