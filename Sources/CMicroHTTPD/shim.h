// What Swift imports of libmicrohttpd, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <microhttpd.h>

/// Starts a daemon with one polling thread and one thread per connection on a socket that already listens.
/// `key` and `certificate` are PEM texts, or both NULL for plain HTTP; they must outlive the daemon.
static inline struct MHD_Daemon *sluice_mhd_start(
    int listening, unsigned int connection_limit, unsigned int idle_seconds, size_t connection_memory_bytes,
    size_t stack_bytes, const char *key, const char *certificate, MHD_AccessHandlerCallback handler,
    MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connection_changed, void *context)
{
    unsigned int flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    if (key != NULL)
        flags |= MHD_USE_TLS;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handler, context,
        MHD_OPTION_LISTEN_SOCKET, listening,
        MHD_OPTION_CONNECTION_LIMIT, connection_limit,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory_bytes,
        MHD_OPTION_THREAD_STACK_SIZE, stack_bytes,
        MHD_OPTION_NOTIFY_COMPLETED, completed, context,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, context,
        MHD_OPTION_ARRAY, key != NULL ? tls : none,
        MHD_OPTION_END);
}

/// The socket of a connection, valid until its `MHD_CONNECTION_NOTIFY_CLOSED` returns.
static inline int sluice_mhd_socket(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}
