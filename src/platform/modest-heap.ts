import { setFlagsFromString } from 'node:v8';

/*
 * V8 lets what is garbage in the old generation grow to several times of what is alive before it collects it: under load a request
 * lives long enough to get there. Twice is as fast, and the service keeps within 250 MB. Read at every collection.
 */
setFlagsFromString('--heap-growing-percent=100');
