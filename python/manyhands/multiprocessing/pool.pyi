from multiprocessing.pool import *
