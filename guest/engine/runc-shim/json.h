/*
 * Reads JSON in place (RFC 8259): finds where values begin and end, without a tree. It is meant for text that a JSON
 * encoder wrote; for anything else every function answers "not there", and never looks beyond the text.
 */
#ifndef ROSETTA_VM_JSON_H
#define ROSETTA_VM_JSON_H

#include "../../freestanding/text.h"

/* The value that the text begins with, after white space; of length 0 when there is none. */
struct text json_value(struct text text);

/* Values of an array, or members of an object, one after the other. */
struct json_items {
  struct text rest;
  char close;
};

/* Answers 0 when the value is neither an array (`[`) nor an object (`{`), as `open` says. */
int json_open(struct text value, char open, struct json_items *items);
/* Answers 0 at the end. `key` is what is between the quotes; it is not set for an array. */
int json_next(struct json_items *items, struct text *key, struct text *value);

/* Value of an object's member; of length 0 when there is none. */
struct text json_member(struct text object, const char *key);

/* Writes a string's characters and a NUL. Answers 0 when it is no string, has a NUL in it or does not fit. */
int json_string(struct text value, char *buffer, size_t size);

#endif
