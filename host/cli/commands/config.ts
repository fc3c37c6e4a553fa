/** `rosetta-vm config`: about `rosetta-vm.yaml`. */
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { jsonOption } from '../options.ts';

const SCHEMA_EXAMPLES = `
An editor with a YAML language server takes it from the file's first line:
  rosetta-vm config schema > rosetta-vm.schema.json
  # yaml-language-server: $schema=./rosetta-vm.schema.json`;

export function configCommand(context: CommandContext): Command {
  return new Command('config')
    .summary('check rosetta-vm.yaml, or print its schema')
    .description('About rosetta-vm.yaml, the description of a machine.')
    .addCommand(validateCommand(context))
    .addCommand(schemaCommand(context));
}

function validateCommand(context: CommandContext): Command {
  return new Command('validate')
    .summary('check a file')
    .description('Checks a file, and prints it with every default filled in (sizes in bytes).')
    .option('-f, --file <file>', 'file to check (default: ./rosetta-vm.yaml)')
    .addOption(jsonOption())
    .action(async ({ file }: { file?: string }) => {
      const { loadSpec, SPEC_FILE } = await import('../../spec/load.ts');
      const { spec } = await loadSpec({ file: file ?? SPEC_FILE, cwd: process.cwd() });
      if (context.json) return context.printJson([{ file: file ?? SPEC_FILE, spec }]);
      const { toYaml } = await import('../yaml.ts');
      context.print(toYaml(spec));
      context.hint(`${file ?? SPEC_FILE} is valid.`);
    });
}

function schemaCommand(context: CommandContext): Command {
  return new Command('schema')
    .summary('print the JSON Schema')
    .description('Prints the JSON Schema (draft 2020-12) of rosetta-vm.yaml.')
    .addHelpText('after', SCHEMA_EXAMPLES)
    .action(async () => {
      const { specJsonSchema } = await import('../../spec/spec.ts');
      context.print(`${JSON.stringify(specJsonSchema(), null, 2)}\n`);
    });
}
