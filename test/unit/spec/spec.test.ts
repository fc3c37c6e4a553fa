import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { checkMachineName, parseSpec, specJsonSchema } from '../../../host/spec/spec.ts';
import { GIB, MIB } from '../../../host/spec/units.ts';

test('an empty spec is a whole one', () => {
  for (const empty of [{}, null, undefined]) {
    expect(parseSpec(empty)).toEqual({
      disk: { size: 64 * GIB, bus: 'auto' },
      image: 'default',
      kernel: 'auto',
      translator: 'auto',
      cache: { enabled: true, limit: 4 * GIB },
      engine: { enabled: true, buildCache: 16 * GIB },
      shares: [],
      rosetta: { router: false },
      qemu: { accelerator: 'auto' },
    });
  }
});

test('what is written is kept, and sizes become bytes', () => {
  const spec = parseSpec({
    cpus: 2,
    memory: '2GiB',
    disk: 10,
    translator: 'qemu',
    cache: { limit: '512MiB' },
    shares: [{ path: '~/src', mountPoint: '/src' }],
  });
  expect(spec).toMatchObject({
    ...{ cpus: 2, memory: 2 * GIB, translator: 'qemu' },
    disk: { size: 10 * GIB, bus: 'auto' },
  });
  expect(spec.cache).toEqual({ enabled: true, limit: 512 * MIB });
  expect(spec.shares).toEqual([{ path: '~/src', mountPoint: '/src', readOnly: true }]);
});

describe('the data disk', () => {
  test('is its size alone, or a mapping; a size says the same in both', () => {
    expect(parseSpec({ disk: { size: '10GiB' } }).disk).toEqual(parseSpec({ disk: '10GiB' }).disk);
    expect(parseSpec({ disk: { bus: 'virtio' } }).disk).toEqual({ size: 64 * GIB, bus: 'virtio' });
  });

  test('of somebody else’s making need only be large enough, and need not be large', () => {
    const attachment = 'nbd+unix:///data?socket=/run/nbd.sock';
    expect(parseSpec({ disk: { attachment } }).disk).toEqual({ size: GIB, bus: 'auto', attachment });
    expect(parseSpec({ disk: { attachment: '/dev/sdb', size: 100 } }).disk.size).toBe(100 * GIB);
  });

  test.each(['sdb', './disk', 'http://host/x', 'nbd:///x', ''])('is not attached by %j', (attachment) => {
    expect(refused({ disk: { attachment } }).code).toBe('E_INVALID');
  });
});

test('a kernel may be written as YAML reads it', () => {
  expect([6.1, '6.1', 6.12, 'auto'].map((kernel) => parseSpec({ kernel }).kernel)).toEqual([
    '6.1',
    '6.1',
    '6.12',
    'auto',
  ]);
  expect(() => parseSpec({ kernel: 6.2 })).toThrow(RosettaVmError);
});

test('a finished spec parses to itself, through JSON too', () => {
  const size = (min: number) => fc.integer({ min, max: 16 * 1024 * GIB });
  const disk = fc.record(
    {
      size: size(GIB),
      bus: fc.constantFrom('auto', 'nvme', 'virtio', 'usb'),
      attachment: fc.constantFrom('/dev/sdb', 'nbd://host/x', 'nbd+unix:///x?socket=/run/nbd.sock'),
    },
    { requiredKeys: [] },
  );
  const input = fc.record(
    {
      cpus: fc.integer({ min: 1, max: 64 }),
      memory: size(512 * MIB),
      disk: fc.oneof(size(GIB), disk),
      translator: fc.constantFrom('auto', 'box64', 'qemu', 'rosetta'),
      cache: fc.record({ enabled: fc.boolean(), limit: size(MIB) }, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(input, (given) => {
      const spec = parseSpec(given);
      expect(parseSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
    }),
  );
});

describe('a wrong key', () => {
  test.each([
    [{ memry: 2 }, 'memry', 'memory'],
    [{ cache: { enable: true } }, 'cache.enable', 'enabled'],
    [{ shares: [{ path: '.', mountPoint: '/x', readonly: true }] }, 'shares.0.readonly', 'readOnly'],
    [{ qemu: { acelerator: 'kvm' } }, 'qemu.acelerator', 'accelerator'],
    [{ disk: { attachement: '/dev/sdb' } }, 'disk.attachement', 'attachment'],
  ])('%j is refused and the right one suggested', (input, key, suggestion) => {
    const error = refused(input);
    expect(error).toMatchObject({ code: 'E_INVALID', facts: { key, suggestion } });
    expect(error.what).toContain('the test');
    expect(error.fix).toContain('Did you mean');
  });

  test('without a near one the schema is pointed at', () => {
    expect(refused({ network: 'bridged' }).fix).toContain('config schema');
  });
});

describe('a wrong value', () => {
  test.each([
    [{ cpus: 0 }, 'cpus'],
    [{ cpus: 1.5 }, 'cpus'],
    [{ cpus: '2' }, 'cpus'],
    [{ memory: true }, 'memory'],
    [{ translator: 'fex' }, 'translator'],
    [{ shares: [{ path: '/x', mountPoint: 'relative' }] }, 'shares.0.mountPoint'],
    [{ shares: Array.from({ length: 17 }, () => ({ path: '/x', mountPoint: '/x' })) }, 'shares'],
    [{ cache: null }, 'cache'],
    [{ disk: null }, 'disk'],
    [{ disk: [] }, 'disk'],
    [{ disk: { bus: 'scsi' } }, 'disk.bus'],
    [{ disk: { size: true } }, 'disk.size'],
    [{ disk: { attachment: 7 } }, 'disk.attachment'],
  ])('%j is refused, and the key named', (input, key) => {
    expect(refused(input)).toMatchObject({ code: 'E_INVALID', facts: { key } });
  });

  test.each([
    [{ memory: '256MiB' }, 'memory'],
    [{ memory: -1 }, 'memory'],
    [{ disk: '100MiB' }, 'disk'],
    [{ disk: '17TiB' }, 'disk'],
    [{ disk: { size: '100MiB' } }, 'disk'],
    [{ disk: { size: 'a lot' } }, 'disk.size'],
    [{ cache: { limit: '0' } }, 'cache.limit'],
    [{ memory: 'a lot' }, 'memory'],
  ])('%j is no possible size', (input, field) => {
    const error = refused(input);
    expect(error.exitStatus).toBe(2);
    expect(error.what).toContain(field);
  });

  test.each([[[]], ['text'], [7]])('%j is no spec at all', (input) => {
    expect(refused(input).code).toBe('E_INVALID');
  });
});

test('whatever is parsed, the outcome is a spec or a three-part error', () => {
  fc.assert(
    fc.property(fc.anything({ maxDepth: 3, withNullPrototype: true }), (input) => {
      try {
        parseSpec(input);
      } catch (error) {
        expect(error).toBeInstanceOf(RosettaVmError);
        const { what, why, fix } = error as RosettaVmError;
        expect([what, why, fix]).not.toContain('');
      }
    }),
  );
});

test('the JSON Schema forbids unknown keys and describes every key', () => {
  const schema = specJsonSchema() as {
    additionalProperties: unknown;
    properties: Record<string, { description?: string }>;
  };
  expect(schema.additionalProperties).toBe(false);
  for (const [key, property] of Object.entries(schema.properties)) expect(property.description, key).toBeTruthy();
});

describe('names of machines', () => {
  test.each(['default', 'ci', 'a', '1', 'build-1', 'a'.repeat(32)])('%s is one', (name) => {
    expect(checkMachineName(name)).toBe(name);
  });

  test.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', '../x', 'a b', 'ä', 'a'.repeat(33), 'a\n'])('%j is none', (name) => {
    expect(() => checkMachineName(name)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

function refused(input: unknown): RosettaVmError {
  try {
    parseSpec(input, 'the test');
  } catch (error) {
    if (error instanceof RosettaVmError) return error;
    throw error;
  }
  throw new Error('the input was accepted');
}
