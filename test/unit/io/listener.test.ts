/** Listeners where the native part is not built. */
import { createNodeSockets } from '../../../src/io/node-sockets.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { testListeners } from '../../helpers/listeners.ts';

testListeners(createNodeSockets(new GateError('local-io', 'native.not-built', 'not built')));
