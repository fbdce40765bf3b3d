from multiprocessing.heap import *
