/** Listeners where the native part is not built. */
import { GateError } from '../../../src/kit/errors.ts';
import { testListeners } from '../../helpers/listeners.ts';

testListeners(new GateError('local-io', 'native.not-built', 'not built'));
