/*
 * Messages to the service manager, as a function of the addon.
 */
#include "binding.h"
#include "service_manager.h"

enum { MESSAGE_SIZE = 256 };

static napi_value tell_manager(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    char address[MANAGER_ADDRESS_SIZE];
    char message[MESSAGE_SIZE];
    if (!take_arguments(env, info, 2, arguments) || !take_text(env, arguments[0], address, sizeof address) ||
        !take_text(env, arguments[1], message, sizeof message)) {
        return throw_argument(env);
    }
    struct failure failure;
    return tell_service_manager(address, message, &failure) ? undefined(env) : throw_failure(env, &failure);
}

bool export_service_manager(napi_env env, napi_value exports)
{
    static const struct export list[] = {{"tellServiceManager", tell_manager}};
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
