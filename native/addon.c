/*
 * The addon as a whole: its version and the parts it is made of. Context-aware and free of global state, so that it can
 * be loaded in any number of workers.
 */
#include "binding.h"

/* The same number stands in src/io/native.ts: a build that does not fit its sources is recognised when it is loaded. */
enum { ADDON_VERSION = 10 };

NAPI_MODULE_INIT()
{
    set_number(env, exports, "version", ADDON_VERSION);
    bool whole = export_tun(env, exports) && export_network(env, exports) && export_sockets(env, exports) &&
                 export_capture(env, exports) && export_rights(env, exports) && export_service_manager(env, exports);
    return whole ? exports : NULL;
}
