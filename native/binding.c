/*
 * Arguments, results and errors of the bindings. See binding.h.
 */
#include "binding.h"

#include <errno.h>
#include <string.h>

const char *error_name(int error)
{
#define NAME(value) \
    case value:     \
        return #value
    switch (error) {
        NAME(EPERM);
        NAME(ENOENT);
        NAME(ESRCH);
        NAME(EINTR);
        NAME(EIO);
        NAME(ENXIO);
        NAME(E2BIG);
        NAME(EBADF);
        NAME(EAGAIN);
        NAME(ENOMEM);
        NAME(EACCES);
        NAME(EFAULT);
        NAME(EBUSY);
        NAME(EEXIST);
        NAME(ENODEV);
        NAME(EINVAL);
        NAME(ENFILE);
        NAME(EMFILE);
        NAME(ENOTTY);
        NAME(ENOSPC);
        NAME(EROFS);
        NAME(ERANGE);
        NAME(ENOSYS);
        NAME(EPROTO);
        NAME(EBADMSG);
        NAME(EBADFD);
        NAME(EMSGSIZE);
        NAME(EOPNOTSUPP);
        NAME(EPFNOSUPPORT);
        NAME(EAFNOSUPPORT);
        NAME(EPROTONOSUPPORT);
        NAME(ENAMETOOLONG);
        NAME(EADDRINUSE);
        NAME(EADDRNOTAVAIL);
        NAME(ENETDOWN);
        NAME(ENETUNREACH);
        NAME(ENOBUFS);
        NAME(EHOSTUNREACH);
        NAME(EHOSTDOWN);
        NAME(EPIPE);
        NAME(ECONNABORTED);
        NAME(ECONNRESET);
        NAME(ECONNREFUSED);
        NAME(ENOTCONN);
        NAME(ETIMEDOUT);
    default:
        return "EOTHER";
    }
#undef NAME
}

void set_number(napi_env env, napi_value object, const char *name, double value)
{
    napi_value number;
    if (napi_create_double(env, value, &number) == napi_ok) napi_set_named_property(env, object, name, number);
}

void set_text(napi_env env, napi_value object, const char *name, const char *value)
{
    napi_value text;
    if (napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text) == napi_ok) {
        napi_set_named_property(env, object, name, text);
    }
}

void set_boolean(napi_env env, napi_value object, const char *name, bool value)
{
    napi_set_named_property(env, object, name, boolean(env, value));
}

napi_value throw_failure(napi_env env, const struct failure *failure)
{
    napi_value code;
    napi_value message;
    napi_value error;
    if (napi_create_string_utf8(env, error_name(failure->error), NAPI_AUTO_LENGTH, &code) != napi_ok) return NULL;
    if (napi_create_string_utf8(env, strerror(failure->error), NAPI_AUTO_LENGTH, &message) != napi_ok) return NULL;
    if (napi_create_error(env, code, message, &error) != napi_ok) return NULL;
    set_text(env, error, "stage", failure->stage);
    set_text(env, error, "detail", failure->detail);
    napi_throw(env, error);
    return NULL;
}

napi_value throw_argument(napi_env env)
{
    struct failure failure;
    fail(&failure, EINVAL, "argument");
    return throw_failure(env, &failure);
}

bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    size_t given = count;
    return napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given >= count;
}

bool take_uint32(napi_env env, napi_value value, uint32_t *number)
{
    return napi_get_value_uint32(env, value, number) == napi_ok;
}

bool take_bytes(napi_env env, napi_value value, uint8_t *bytes, size_t size)
{
    bool is_buffer = false;
    void *data;
    size_t length;
    if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer) return false;
    if (napi_get_buffer_info(env, value, &data, &length) != napi_ok || length != size) return false;
    memcpy(bytes, data, size);
    return true;
}

bool take_text(napi_env env, napi_value value, char *text, size_t size)
{
    size_t length;
    return napi_get_value_string_utf8(env, value, NULL, 0, &length) == napi_ok && length < size &&
           napi_get_value_string_utf8(env, value, text, size, &length) == napi_ok;
}

napi_value undefined(napi_env env)
{
    napi_value value = NULL;
    napi_get_undefined(env, &value);
    return value;
}

napi_value boolean(napi_env env, bool value)
{
    napi_value result = NULL;
    napi_get_boolean(env, value, &result);
    return result;
}

bool export_all(napi_env env, napi_value exports, const struct export *list, size_t count, void *data)
{
    for (size_t index = 0; index < count; index++) {
        napi_value function;
        if (napi_create_function(env, list[index].name, NAPI_AUTO_LENGTH, list[index].function, data, &function) !=
                napi_ok ||
            napi_set_named_property(env, exports, list[index].name, function) != napi_ok) {
            return false;
        }
    }
    return true;
}
