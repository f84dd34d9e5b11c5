#pragma once
/*
 * token_file - the bearer tokens that an administrator handed out: one a line,
 *
 *     TOKEN operator
 *     TOKEN reader expires=2027-01-01T00:00:00Z
 *     TOKEN pod NAMESPACE/NAME
 *
 * with `#` comments and empty lines. A token has 16 to 512 characters of [A-Za-z0-9._~+/=-]. The
 * file belongs to root or to the daemon's user and is closed to group and others. Tokens are
 * compared in constant time: what an answer takes does not tell how much of a guess was right.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_LENGTH_MIN 16
#define TOKEN_LENGTH_MAX 512
#define TOKEN_FILE_MAX   (256 * 1024) /* bytes of a file */

enum token_role { TOKEN_READER, TOKEN_POD, TOKEN_OPERATOR };

struct token_grant {
    enum token_role role;
    char pod_namespace[64]; /* of TOKEN_POD; else empty */
    char pod_name[254];
    uint64_t expires_unix_ms; /* UINT64_MAX: never */
};

struct token_file;

/* Reads a file. -EPERM: others may read it, -EINVAL: a line is wrong (its number is in `err`). */
int token_file_load(struct token_file **ret_file, const char *path, struct err *err) MUST_CHECK;

/* The same from text, which needs no NUL at its end. */
int token_file_parse(struct token_file **ret_file, const char *text, size_t size,
                     struct err *err) MUST_CHECK;

/* Forgets the tokens with it; NULL is fine. */
void token_file_free(struct token_file *file);

/* What the bearer may do now. -ENOENT: no such token, -EKEYEXPIRED: not any more. */
int token_file_find(const struct token_file *file, const char *bearer,
                    struct token_grant *ret_grant) MUST_CHECK;

/* The same at a time of day, in milliseconds since 1970. */
int token_file_find_at(const struct token_file *file, const char *bearer, uint64_t unix_ms,
                       struct token_grant *ret_grant) MUST_CHECK;
