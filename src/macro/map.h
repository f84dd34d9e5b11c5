#pragma once
/*
 * map - small helpers for tables.
 */
#define MACRO_TEXT_(x) #x
#define MACRO_TEXT(x)  MACRO_TEXT_(x)
