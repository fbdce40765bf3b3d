from multiprocessing.connection import *
