// Loads a built addon into a Node that has no entitlement and asks it everything that needs none. For a Mac, any: in CI
// no machine can be started, since virtual machines of Macs have no virtualization of their own.
//   node native/check/load.mjs native/build/Release/vz.node
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const file = path.resolve(process.argv[2] ?? 'native/build/Release/vz.node');
const addon = createRequire(import.meta.url)(file);
const folder = mkdtempSync(path.join(tmpdir(), 'rosetta-vm-load-'));

try {
  const report = JSON.parse(addon.hostReport());
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  assert.equal(addon.protocol, 1);
  assert.equal(report.architecture, 'arm64');
  assert.equal(report.translated, false);
  assert.equal(report.entitled, false);
  assert.ok(report.macOS.major >= 13);
  assert.ok(report.cpus.maximum >= 1 && report.memory.maximum > report.memory.minimum);

  const valid = configuration(report, addon.newMachineIdentifier());
  // All of it is made, and then the framework itself refuses it: VZErrorInvalidVirtualMachineConfiguration.
  refused('no entitlement', valid, { domain: 'VZErrorDomain', code: 2 });
  refused(
    'no kernel',
    { ...valid, bootLoader: { ...valid.bootLoader, kernelURL: path.join(folder, 'absent') } },
    {
      domain: 'NSPOSIXErrorDomain',
      code: 2,
      subject: 'bootLoader.kernelURL',
    },
  );
  refused(
    'a folder as a disk',
    { ...valid, disks: [disk('virtio', { kind: 'file', path: folder })] },
    {
      domain: 'NSPOSIXErrorDomain',
      subject: 'disks[0]',
    },
  );
  const odd = path.join(folder, 'odd.img');
  writeFileSync(odd, Buffer.alloc(1000));
  refused(
    'a disk of 1000 bytes',
    { ...valid, disks: [disk('virtio', { kind: 'file', path: odd })] },
    {
      subject: 'disks[0]',
    },
  );
  refused(
    'a tag of 36 bytes',
    { ...valid, shares: [{ tag: 'x'.repeat(36), path: folder, readOnly: true }] },
    {
      domain: 'VZErrorDomain',
      subject: 'shares[0]',
    },
  );
  refused('an unknown field', { ...valid, colour: 'blue' }, { domain: 'RosettaVm', code: 1, subject: 'colour' });
  refused('true for a number', { ...valid, CPUCount: true }, { domain: 'RosettaVm', code: 1, subject: 'CPUCount' });
  if (report.macOS.major >= 14) {
    refused(
      'an address with a blank',
      { ...valid, disks: [disk('nvme', { kind: 'nbd', url: 'nbd://host/a b', timeout: 5 })] },
      {
        domain: 'RosettaVm',
        code: 1,
        subject: 'disks[0].attachment.url',
      },
    );
  }
  refused('a foreign identifier', { ...valid, machineIdentifier: 'AAAA' }, { domain: 'RosettaVm', code: 1 });

  const watch = new Socket({ fd: addon.watchWake().events });
  watch.destroy();
  await once(watch, 'close');
  process.stdout.write(`ok: ${file} on Node ${process.versions.node}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Everything that the addon can make on this macOS without Rosetta. */
function configuration(report, machineIdentifier) {
  const image = path.join(folder, 'disk.img');
  writeFileSync(image, '');
  truncateSync(image, 1024 * 1024);
  const sonoma = report.macOS.major >= 14;
  return {
    label: 'load-check',
    CPUCount: report.cpus.minimum,
    memorySize: Math.max(report.memory.minimum, 256 * 1024 * 1024),
    machineIdentifier,
    bootLoader: { kernelURL: image, initialRamdiskURL: image, commandLine: 'console=hvc0' },
    disks: [
      disk('virtio', { kind: 'file', path: image }),
      disk('usb', { kind: 'file', path: image }),
      ...(sonoma
        ? [
            disk('nvme', { kind: 'file', path: image }),
            disk('nvme', { kind: 'nbd', url: 'nbd://127.0.0.1:10809/x', timeout: 5 }),
          ]
        : []),
    ],
    shares: [{ tag: 'boot', path: folder, readOnly: true }],
    rosetta: null,
    network: { MACAddress: '02:00:00:00:00:01' },
    serialLog: path.join(folder, 'serial.log'),
    graphics: { widthInPixels: 1280, heightInPixels: 800 },
    macKeyboard: sonoma,
  };
}

function disk(bus, attachment) {
  return { bus, readOnly: true, attachment };
}

function refused(name, wrong, expected) {
  let thrown;
  try {
    addon.createMachine(JSON.stringify(wrong));
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof Error && typeof thrown.failure === 'string', `${name} was not refused`);
  const failure = JSON.parse(thrown.failure);
  process.stdout.write(`${name}: ${thrown.failure}\n`);
  for (const [field, value] of Object.entries(expected)) assert.equal(failure[field], value, `${name}: ${field}`);
}
