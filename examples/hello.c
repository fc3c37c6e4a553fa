/* The shortest honest compile: ten lines, one header. */
#include <stdio.h>

int main(int argc, char **argv)
{
    long sum = 0;
    for (int i = 1; i <= 1000; i++) sum += i % (argc + 6);
    printf("%s says hello: %ld\n", argv[0], sum);
    return 0;
}
