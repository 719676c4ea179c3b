// How many sockets a program was begun with: inheriting_process. Its exit code, without its standard streams.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

int main() {
    int sockets = 0;
    for (int descriptor = STDERR_FILENO + 1; descriptor < 4096; ++descriptor) {
        struct stat status {};
        if (fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode)) ++sockets;
    }
    return std::min(sockets, 100);
}
