#include "utils/err.h"

#include "utils/str.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/*
 * strerror() allocates and is not safe in threads; strerrordesc_np() is too new for a guest. These
 * are the errors that we meet; others show their number.
 */
static const char *find_words(int code)
{
    static const struct {
        int code;
        const char *words;
    } table[] = {
        {EPERM, "operation not permitted"},
        {ENOENT, "no such file or directory"},
        {EIO, "input/output error"},
        {ENXIO, "no such device or address"},
        {EBADF, "bad file descriptor"},
        {EAGAIN, "resource temporarily unavailable"},
        {ENOMEM, "out of memory"},
        {EACCES, "permission denied"},
        {EBUSY, "device or resource busy"},
        {EEXIST, "file exists"},
        {ENODEV, "no such device"},
        {ENOTDIR, "not a directory"},
        {EISDIR, "is a directory"},
        {EINVAL, "invalid argument"},
        {EMFILE, "too many open files"},
        {ENFILE, "too many open files in the system"},
        {EFBIG, "file too large"},
        {ENOSPC, "no space left on device"},
        {EROFS, "read-only file system"},
        {EPIPE, "broken pipe"},
        {ERANGE, "out of range"},
        {ENAMETOOLONG, "file name too long"},
        {ENOSYS, "function not implemented"},
        {ELOOP, "too many symbolic links"},
        {EPROTO, "protocol error"},
        {EMSGSIZE, "message too long"},
        {EADDRINUSE, "address in use"},
        {ENOTSUP, "not supported"},
        {ECONNREFUSED, "connection refused"},
        {ECONNRESET, "connection reset by peer"},
        {ETIMEDOUT, "timed out"},
        {EREMOTEIO, "the resource manager refused"},
        {ESRCH, "no such process"},
        {EFAULT, "bad address"},
        {EINTR, "interrupted"},
        {ENOEXEC, "not an executable"},
        {E2BIG, "argument list too long"},
        {ENOTCONN, "not connected"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].code == code)
            return table[i].words;
    return NULL;
}

static void fill(struct err *err, int code, const char *format, va_list args, struct str *ret_str)
{
    err->code = code;
    str_init(ret_str, err->text, sizeof(err->text));
    str_add_list(ret_str, format, args);
}

int err_set(struct err *err, int code, const char *format, ...)
{
    const char *words = find_words(code);
    struct str str;
    va_list args;

    if (!err)
        return -code;
    va_start(args, format);
    fill(err, code, format, args, &str);
    va_end(args);
    if (words)
        str_add(&str, ": %s", words);
    else
        str_add(&str, ": error %d", code);
    return -code;
}

int err_say(struct err *err, int code, const char *format, ...)
{
    struct str str;
    va_list args;

    if (!err)
        return -code;
    va_start(args, format);
    fill(err, code, format, args, &str);
    va_end(args);
    return -code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    char reason[sizeof(err->text)];
    struct str str;
    va_list args;

    if (!err)
        return -EINVAL;
    memcpy(reason, err->text, sizeof(reason));
    va_start(args, format);
    fill(err, err->code, format, args, &str);
    va_end(args);
    str_add(&str, ": %s", reason);
    return -err->code;
}
