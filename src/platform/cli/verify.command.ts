import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Config } from '../config';
import { Invariant } from '../verify/invariant';
import { verify } from '../verify/verify';
import { parsed } from './arguments';
import { providersOf } from '../providers';
import { CliCommand, type Terminal } from './cli-command';

@Injectable()
export class VerifyCommand extends CliCommand {
  readonly name = 'verify';
  readonly usage = '[--all]';
  readonly summary = 'Checks everything that must hold of the stored data; --all goes on after something broken.';

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly config: Config,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { all } = parsed(args, { all: { type: 'boolean' } }).values;
    const invariants = providersOf(this.discovery, Invariant);
    let status = 0;
    for await (const { invariant, broken, examples } of verify(this.config.databaseUrl!, invariants)) {
      terminal.out(broken === 0 ? `ok      ${invariant}` : `BROKEN  ${invariant}: ${broken}`);
      for (const example of examples) terminal.out(`          ${example}`);
      if (broken > examples.length) terminal.out(`          … and ${broken - examples.length} more`);
      if (broken > 0) status = 1;
      if (status === 1 && !all) break;
    }
    return status;
  }
}
