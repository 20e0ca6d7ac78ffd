import { readEnvironment } from './environment.ts';
import { startSimulator } from './simulator.ts';

const simulator = await startSimulator(readEnvironment(process.env));
console.log(`simulator listening on ${simulator.url}`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void simulator.close().then(() => process.exit(0));
  });
}
