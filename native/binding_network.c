/*
 * network.h for JavaScript: interfaces, addresses, routes, and the generation of the packet filter.
 */
#include "binding.h"
#include "network.h"

#include <stdlib.h>

static napi_value finish(napi_env env, bool done, const struct failure *failure)
{
    return done ? undefined(env) : throw_failure(env, failure);
}

static napi_value read_link(napi_env env, napi_callback_info info)
{
    napi_value arguments[1];
    uint32_t index;
    if (!take_arguments(env, info, 1, arguments) || !take_uint32(env, arguments[0], &index)) return throw_argument(env);

    struct link link;
    struct failure failure;
    napi_value result;
    if (!link_read(index, &link, &failure)) return throw_failure(env, &failure);
    if (napi_create_object(env, &result) != napi_ok) return NULL;
    set_number(env, result, "mtu", link.mtu);
    set_number(env, result, "queue", link.queue);
    set_number(env, result, "addressGeneration", link.address_generation);
    set_boolean(env, result, "up", link.up);
    return result;
}

typedef bool set_uint32(unsigned index, uint32_t value, struct failure *failure);

static napi_value set_link(napi_env env, napi_callback_info info, set_uint32 *set)
{
    napi_value arguments[2];
    uint32_t index;
    uint32_t value;
    if (!take_arguments(env, info, 2, arguments) || !take_uint32(env, arguments[0], &index) ||
        !take_uint32(env, arguments[1], &value)) {
        return throw_argument(env);
    }
    struct failure failure;
    return finish(env, set(index, value, &failure), &failure);
}

static bool set_address_generation(unsigned index, uint32_t mode, struct failure *failure)
{
    return link_set_address_generation(index, (uint8_t)mode, failure);
}

static bool set_up(unsigned index, uint32_t up, struct failure *failure)
{
    return link_set_up(index, up != 0, failure);
}

static napi_value set_link_mtu(napi_env env, napi_callback_info info)
{
    return set_link(env, info, link_set_mtu);
}

static napi_value set_link_queue(napi_env env, napi_callback_info info)
{
    return set_link(env, info, link_set_queue);
}

static napi_value set_link_address_generation(napi_env env, napi_callback_info info)
{
    return set_link(env, info, set_address_generation);
}

static napi_value set_link_up(napi_env env, napi_callback_info info)
{
    return set_link(env, info, set_up);
}

static bool take_address(napi_env env, napi_callback_info info, uint32_t *index, uint8_t *address)
{
    napi_value arguments[2];
    return take_arguments(env, info, 2, arguments) && take_uint32(env, arguments[0], index) &&
           take_bytes(env, arguments[1], address, IPV6_ADDRESS);
}

static napi_value has_address(napi_env env, napi_callback_info info)
{
    uint32_t index;
    uint8_t address[IPV6_ADDRESS];
    bool stands;
    struct failure failure;
    if (!take_address(env, info, &index, address)) return throw_argument(env);
    return address_stands(index, address, &stands, &failure) ? boolean(env, stands) : throw_failure(env, &failure);
}

static napi_value add_address(napi_env env, napi_callback_info info)
{
    uint32_t index;
    uint8_t address[IPV6_ADDRESS];
    struct failure failure;
    if (!take_address(env, info, &index, address)) return throw_argument(env);
    return finish(env, address_add(index, address, &failure), &failure);
}

static napi_value remove_address(napi_env env, napi_callback_info info)
{
    uint32_t index;
    uint8_t address[IPV6_ADDRESS];
    struct failure failure;
    if (!take_address(env, info, &index, address)) return throw_argument(env);
    return finish(env, address_remove(index, address, &failure), &failure);
}

static bool take_prefix(napi_env env, const napi_value *arguments, struct prefix *prefix)
{
    uint32_t bits;
    if (!take_bytes(env, arguments[0], prefix->bytes, IPV6_ADDRESS) || !take_uint32(env, arguments[1], &bits)) {
        return false;
    }
    prefix->bits = (uint8_t)bits;
    return bits <= IPV6_ADDRESS * 8;
}

static napi_value route_object(napi_env env, const struct route *route)
{
    static const char *const kinds[] = {"interface", "unreachable", "other"};
    napi_value entry;
    napi_value destination;
    napi_value source = undefined(env);
    if (napi_create_object(env, &entry) != napi_ok) return NULL;
    if (napi_create_buffer_copy(env, IPV6_ADDRESS, route->destination.bytes, NULL, &destination) != napi_ok) return NULL;
    if (route->has_source && napi_create_buffer_copy(env, IPV6_ADDRESS, route->source, NULL, &source) != napi_ok) {
        return NULL;
    }
    set_text(env, entry, "kind", kinds[route->kind]);
    set_number(env, entry, "index", route->index);
    napi_set_named_property(env, entry, "destination", destination);
    set_number(env, entry, "bits", route->destination.bits);
    set_number(env, entry, "metric", route->metric);
    napi_set_named_property(env, entry, "source", source);
    return entry;
}

static napi_value list_routes(napi_env env, const struct routes_wanted *wanted)
{
    struct routes found = {.list = NULL};
    struct failure failure;
    napi_value list = NULL;
    if (!routes_find(wanted, &found, &failure)) {
        throw_failure(env, &failure);
    } else if (napi_create_array_with_length(env, found.count, &list) == napi_ok) {
        for (uint32_t at = 0; at < found.count; at++) {
            napi_value entry = route_object(env, &found.list[at]);
            if (entry == NULL) break;
            napi_set_element(env, list, at, entry);
        }
    }
    free(found.list);
    return list;
}

static napi_value routes(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    struct routes_wanted wanted = {.inside = false};
    if (!take_arguments(env, info, 2, arguments) || !take_prefix(env, arguments, &wanted.prefix)) {
        return throw_argument(env);
    }
    return list_routes(env, &wanted);
}

/* (prefix, bits, index of the interface that they lead to or 0 for any) */
static napi_value routes_inside(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    struct routes_wanted wanted = {.inside = true};
    if (!take_arguments(env, info, 3, arguments) || !take_prefix(env, arguments, &wanted.prefix) ||
        !take_uint32(env, arguments[2], &wanted.index)) {
        return throw_argument(env);
    }
    return list_routes(env, &wanted);
}

/* (prefix, bits, index of the interface or 0 for an unreachable route, metric, preferred source or undefined) */
static bool take_route(napi_env env, napi_callback_info info, struct prefix *prefix, struct route *route)
{
    napi_value arguments[5];
    napi_valuetype source;
    if (!take_arguments(env, info, 5, arguments) || !take_prefix(env, arguments, prefix) ||
        !take_uint32(env, arguments[2], &route->index) || !take_uint32(env, arguments[3], &route->metric) ||
        napi_typeof(env, arguments[4], &source) != napi_ok) {
        return false;
    }
    route->kind = route->index == 0 ? ROUTE_UNREACHABLE : ROUTE_INTERFACE;
    route->has_source = source != napi_undefined;
    return !route->has_source || take_bytes(env, arguments[4], route->source, IPV6_ADDRESS);
}

static napi_value add_route(napi_env env, napi_callback_info info)
{
    struct prefix prefix;
    struct route route;
    struct failure failure;
    if (!take_route(env, info, &prefix, &route)) return throw_argument(env);
    return finish(env, route_add(&prefix, &route, &failure), &failure);
}

static napi_value remove_route(napi_env env, napi_callback_info info)
{
    struct prefix prefix;
    struct route route;
    struct failure failure;
    if (!take_route(env, info, &prefix, &route)) return throw_argument(env);
    return finish(env, route_remove(&prefix, &route, &failure), &failure);
}

static const napi_type_tag WATCH_TAG = {0x2f9d61c0a4b7e853ULL, 0x71c84be50d3a96f2ULL};

static void free_watch(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    network_watch_close(data);
}

/* (index, prefix, bits): an object that hears what happens for as long as it lives. */
static napi_value watch_network(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    uint32_t index;
    struct prefix prefix;
    struct failure failure;
    napi_value object;
    if (!take_arguments(env, info, 3, arguments) || !take_uint32(env, arguments[0], &index) ||
        !take_prefix(env, arguments + 1, &prefix)) {
        return throw_argument(env);
    }
    struct network_watch *watch = network_watch_open(index, &prefix, &failure);
    if (watch == NULL) return throw_failure(env, &failure);
    if (napi_create_object(env, &object) != napi_ok ||
        napi_wrap(env, object, watch, free_watch, NULL, NULL) != napi_ok) {
        network_watch_close(watch);
        return NULL;
    }
    return napi_type_tag_object(env, object, &WATCH_TAG) == napi_ok ? object : NULL;
}

/* The watch behind an object, which keeps it if `keep`. */
static struct network_watch *take_watch(napi_env env, napi_callback_info info, bool keep)
{
    napi_value arguments[1];
    bool ours = false;
    void *data;
    if (!take_arguments(env, info, 1, arguments)) return NULL;
    if (napi_check_object_type_tag(env, arguments[0], &WATCH_TAG, &ours) != napi_ok || !ours) return NULL;
    napi_status status = keep ? napi_unwrap(env, arguments[0], &data) : napi_remove_wrap(env, arguments[0], &data);
    return status == napi_ok ? data : NULL;
}

/* (watch) */
static napi_value poll_network_changes(napi_env env, napi_callback_info info)
{
    struct network_watch *watch = take_watch(env, info, true);
    return watch == NULL ? throw_argument(env) : boolean(env, network_watch_changed(watch));
}

/* (watch): it cannot be asked any more. */
static napi_value end_network_watch(napi_env env, napi_callback_info info)
{
    struct network_watch *watch = take_watch(env, info, false);
    if (watch == NULL) return throw_argument(env);
    network_watch_close(watch);
    return undefined(env);
}

static napi_value read_generation(napi_env env, napi_callback_info info)
{
    (void)info;
    uint32_t generation;
    struct failure failure;
    napi_value result;
    if (!ruleset_generation(&generation, &failure)) return throw_failure(env, &failure);
    return napi_create_uint32(env, generation, &result) == napi_ok ? result : NULL;
}

bool export_network(napi_env env, napi_value exports)
{
    static const struct export list[] = {
        {"readLink", read_link},
        {"setLinkMtu", set_link_mtu},
        {"setLinkQueue", set_link_queue},
        {"setLinkAddressGeneration", set_link_address_generation},
        {"setLinkUp", set_link_up},
        {"hasAddress", has_address},
        {"addAddress", add_address},
        {"removeAddress", remove_address},
        {"routes", routes},
        {"routesInside", routes_inside},
        {"addRoute", add_route},
        {"removeRoute", remove_route},
        {"watchNetwork", watch_network},
        {"pollNetworkChanges", poll_network_changes},
        {"endNetworkWatch", end_network_watch},
        {"rulesetGeneration", read_generation},
    };
    return export_all(env, exports, list, sizeof list / sizeof list[0], NULL);
}
