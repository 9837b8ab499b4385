/*
 * Rights of this process, as functions of the addon. They hold for all of its threads: not for workers.
 */
#include "binding.h"
#include "rights.h"

static napi_value give_up_rights(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    uint32_t uid;
    uint32_t gid;
    uint32_t keep;
    if (!take_arguments(env, info, 3, arguments) || !take_uint32(env, arguments[0], &uid) ||
        !take_uint32(env, arguments[1], &gid) || !take_uint32(env, arguments[2], &keep)) {
        return throw_argument(env);
    }
    struct failure failure;
    return rights_give_up(uid, gid, keep, &failure) ? undefined(env) : throw_failure(env, &failure);
}

static napi_value forbid_core_dumps(napi_env env, napi_callback_info info)
{
    (void)info;
    struct failure failure;
    return rights_forbid_core_dumps(&failure) ? undefined(env) : throw_failure(env, &failure);
}

bool export_rights(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"giveUpRights", give_up_rights},
        {"forbidCoreDumps", forbid_core_dumps},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
