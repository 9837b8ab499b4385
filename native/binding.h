/*
 * What the bindings share: taking arguments, making results, and throwing. Every function of the addon throws an Error
 * with `code` (the errno's name), `stage` (see failure.h) and, where the kernel said more, `detail`.
 */
#ifndef GARLIGATE_BINDING_H
#define GARLIGATE_BINDING_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

/* The errno's name, such as EPERM. */
const char *error_name(int error);

/* Returns NULL, the value of a binding that throws. */
napi_value throw_failure(napi_env env, const struct failure *failure);

/* A mistake of our own TypeScript: EINVAL at stage "argument". */
napi_value throw_argument(napi_env env);

bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool take_uint32(napi_env env, napi_value value, uint32_t *number);
/* `size` bytes exactly. */
bool take_bytes(napi_env env, napi_value value, uint8_t *bytes, size_t size);
/* With its end; what does not fit is refused, not cut. */
bool take_text(napi_env env, napi_value value, char *text, size_t size);

napi_value undefined(napi_env env);
napi_value boolean(napi_env env, bool value);
void set_number(napi_env env, napi_value object, const char *name, double value);
void set_text(napi_env env, napi_value object, const char *name, const char *value);
void set_boolean(napi_env env, napi_value object, const char *name, bool value);

struct export {
    const char *name;
    napi_callback function;
};

/* `data` is what `napi_get_cb_info` gives the functions. */
bool export_all(napi_env env, napi_value exports, const struct export *list, size_t count, void *data);
bool export_tun(napi_env env, napi_value exports);
bool export_network(napi_env env, napi_value exports);
bool export_sockets(napi_env env, napi_value exports);
bool export_capture(napi_env env, napi_value exports);
bool export_rights(napi_env env, napi_value exports);
bool export_service_manager(napi_env env, napi_value exports);

#endif
