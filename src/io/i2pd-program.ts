/** The program i2pd: its arguments, and a port for its SAM bridge. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';

const CERTIFICATES = '/usr/share/i2pd/certificates';

/**
 * Everything by argument: root writes no file into a directory that belongs to another user.
 *
 * @param port of the SAM bridge, on 127.0.0.1
 */
export function i2pdArguments(port: number): readonly string[] {
  const hasCertificates = existsSync(CERTIFICATES);
  return [
    '--datadir=.',
    '--conf=/dev/null',
    '--tunconf=/dev/null',
    '--tunnelsdir=no-tunnels.d',
    '--pidfile=i2pd.pid',
    '--log=stdout',
    '--loglevel=error',
    '--http.enabled=false',
    '--httpproxy.enabled=false',
    '--socksproxy.enabled=false',
    '--bob.enabled=false',
    '--i2cp.enabled=false',
    '--i2pcontrol.enabled=false',
    '--upnp.enabled=false',
    '--sam.enabled=true',
    '--sam.address=127.0.0.1',
    `--sam.port=${port}`,
    // i2pd looks for certificates in its data directory, and takes unsigned reseed data unless told otherwise.
    ...(hasCertificates ? [`--certsdir=${CERTIFICATES}`, '--reseed.verify=true'] : []),
  ];
}

/** Another program can take the port before i2pd does; then i2pd ends, and the next run tries another one. */
export function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
