#include "base/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

Status error_set(Error *error, Status status, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        error->status = status;
    }
    return status;
}

Status error_prefix(Error *error, const char *format, ...) {
    if (!error) return STATUS_OK;
    char text[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof text) {
        size_t room = sizeof text - (size_t)used - 1;
        size_t length = strnlen(error->message, sizeof error->message);
        if (length > room) length = room;
        memcpy(text + used, error->message, length);
        text[(size_t)used + length] = '\0';
    }
    memcpy(error->message, text, sizeof text);
    return error->status;
}

Status error_no_memory(Error *error, const char *what) {
    return error_set(error, STATUS_NO_MEMORY, "out of memory: no room for %s", what);
}

double error_number(double number) {
    return isnan(number) ? fabs(number) : number;
}
