#include "utils/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in every libc that we build against; from the kernel's fcntl.h and memfd.h. */
#ifndef F_ADD_SEALS
#define F_ADD_SEALS   1033
#define F_GET_SEALS   1034
#define F_SEAL_SEAL   0x1
#define F_SEAL_SHRINK 0x2
#define F_SEAL_GROW   0x4
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#define SHM_MFD_CLOEXEC       0x1u
#define SHM_MFD_ALLOW_SEALING 0x2u

static int seal(int fd, bool is_read_only)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    if (is_read_only)
        seals |= F_SEAL_FUTURE_WRITE;
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int shm_create(void **ret_memory, const char *name, size_t size, bool is_read_only, struct err *err)
{
    CLEANUP_CLOSE int fd =
        (int)syscall(SYS_memfd_create, name, SHM_MFD_CLOEXEC | SHM_MFD_ALLOW_SEALING);
    void *memory;
    int rc;

    if (fd < 0)
        return err_set(err, errno, "create shared memory '%s'", name);
    if (ftruncate(fd, (off_t)size) < 0)
        return err_set(err, errno, "size shared memory '%s'", name);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return err_set(err, errno, "map shared memory '%s'", name);
    rc = seal(fd, is_read_only);
    if (rc < 0) {
        shm_unmap(memory, size);
        return err_set(err, -rc, "seal shared memory '%s'", name);
    }
    *ret_memory = memory;
    return TAKE_FD(fd);
}

int shm_map(void **ret_memory, int fd, size_t size, bool is_writable, struct err *err)
{
    int seals = fcntl(fd, F_GET_SEALS);
    off_t length;
    void *memory;

    if (seals < 0)
        return err_set(err, EPROTO, "a descriptor that is no memfd was sent as shared memory");
    if (!(seals & F_SEAL_SHRINK))
        return err_set(err, EPROTO, "shared memory that can shrink was sent");
    length = lseek(fd, 0, SEEK_END); /* sealed: it stays that long */
    if (length < 0 || (uint64_t)length < size)
        return err_set(err, EPROTO, "shared memory of %lld instead of %zu bytes was sent",
                       (long long)length, size);
    memory = mmap(NULL, size, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return err_set(err, errno, "map shared memory");
    *ret_memory = memory;
    return 0;
}

void shm_unmap(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size); /* fails only for what was never mapped */
}
