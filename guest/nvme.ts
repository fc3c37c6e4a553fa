/** Which NVMe disk is which: names in /dev follow the order of discovery, not the order of the host's devices. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * The device that the host means by a name such as `/dev/nvme0n2`: the one with namespace 2. Linux 6.12 scans namespaces
 * side by side (drivers/nvme/host/core.c, nvme_scan_ns_async) and numbers them as they come, so that about one boot in
 * eight has them the other way round. Other names, and a namespace that is not there exactly once, stay as they are.
 */
export async function deviceOfNamespace(device: string, blockDirectory: string): Promise<string> {
  const namespace = /^\/dev\/nvme\d+n(\d+)$/.exec(device)?.[1];
  if (namespace === undefined) return device;
  const names = (await readdir(blockDirectory).catch(() => [])).filter((name) => /^nvme\d+n\d+$/.test(name));
  const numbers = await Promise.all(
    names.map((name) => readFile(path.join(blockDirectory, name, 'nsid'), 'utf8').catch(() => '')),
  );
  const [found, another] = names.filter((_name, i) => numbers[i]?.trim() === namespace);
  return found === undefined || another !== undefined ? device : `/dev/${found}`;
}
