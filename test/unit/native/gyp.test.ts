/** The makefiles that gyp would give a Mac, made here: a wrong key in binding.gyp is otherwise ignored in silence. */
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODULES, NATIVE } from './type-check.ts';

/** What gyp asks on a Mac; an empty answer is enough for makefiles. */
const APPLE_TOOLS = ['xcrun', 'xcodebuild', 'sw_vers', 'xcode-select'];

describe('the makefile for a Mac', () => {
  let folder: string;
  let makefile: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-gyp-'));
    const tools = path.join(folder, 'tools');
    const native = path.join(folder, 'native');
    await mkdir(tools);
    for (const name of APPLE_TOOLS) {
      await writeFile(path.join(tools, name), '#!/bin/sh\nexit 0\n');
      await chmod(path.join(tools, name), 0o755);
    }
    await cp(NATIVE, native, { recursive: true, filter: (source) => path.basename(source) !== 'build' });
    await symlink(MODULES, path.join(folder, 'node_modules'));
    // With the headers of the Node that runs this, node-gyp downloads none.
    const nodedir = path.resolve(process.execPath, '../..');
    await execa(
      process.execPath,
      [path.join(MODULES, 'node-gyp/bin/node-gyp.js'), 'configure', `--nodedir=${nodedir}`, '--arch=arm64'].concat([
        '--',
        '-f',
        'make-mac',
        '-DOS=mac',
      ]),
      { cwd: native, env: { PATH: `${tools}${path.delimiter}${process.env.PATH ?? ''}` }, timeout: 120_000 },
    );
    makefile = await readFile(path.join(native, 'build/vz.target.mk'), 'utf8');
  }, 150_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** The words of a variable, one a line in the makefile. */
  function words(variable: string): string[] {
    const text = new RegExp(`^${variable} := ((?:.*\\\\\n)*.*)$`, 'm').exec(makefile)?.[1] ?? '';
    return text.split(/\s+|\\\n/).filter((word) => word !== '' && word !== '\\');
  }

  it('compiles for arm64 and macOS 13, hides symbols and refuses newer calls outside @available', () => {
    const flags = words('CFLAGS_Release');
    expect(flags).toEqual(
      expect.arrayContaining([
        '-mmacosx-version-min=13.0',
        '-fvisibility=hidden',
        '-Werror=unguarded-availability-new',
        '-Wall',
        '-Wextra',
      ]),
    );
    expect(flags[flags.indexOf('-arch') + 1]).toBe('arm64');
    expect(flags.filter((flag) => flag.startsWith('-mmacosx-version-min='))).toHaveLength(1);
  });

  it('turns ARC on for Objective-C++, takes C++20 with libc++ and leaves C++ exceptions and type information on', () => {
    expect(words('CFLAGS_OBJCC_Release')).toContain('-fobjc-arc');
    const plus = words('CFLAGS_CC_Release');
    expect(plus).toEqual(expect.arrayContaining(['-std=c++20', '-stdlib=libc++']));
    expect(plus).not.toContain('-fno-exceptions');
    // Type information is what a catch compares, across the border to libc++ too.
    for (const variable of ['CFLAGS_Release', 'CFLAGS_CC_Release', 'CFLAGS_OBJCC_Release']) {
      expect(words(variable)).not.toContain('-fno-rtti');
    }
    expect(plus.filter((flag) => flag.startsWith('-std='))).toEqual(['-std=c++20']);
    expect(words('DEFS_Release')).toEqual(expect.arrayContaining(["'-DNAPI_VERSION=8'", "'-DNAPI_CPP_EXCEPTIONS'"]));
  });

  it('finds node-addon-api, and links the frameworks that the core includes', () => {
    expect(words('INCS_Release').filter((word) => word.endsWith('/node-addon-api'))).toHaveLength(1);
    expect(words('LIBS').filter((word) => word !== '-framework')).toEqual([
      'Foundation',
      'IOKit',
      'Security',
      'Virtualization',
    ]);
    expect(words('LDFLAGS_Release')).toContain('-mmacosx-version-min=13.0');
  });

  it('builds Objective-C++ files as such, into vz.node', () => {
    expect(makefile).toContain('$(obj).target/$(TARGET)/src/virtual_machine.o');
    expect(makefile).toMatch(/%\.o: \$\(srcdir\)\/%\.mm FORCE_DO_CMD\n\t@\$\(call do_cmd,objcxx,1\)/);
    expect(makefile).toContain('$(builddir)/vz.node: $(OBJS)');
  });
});
