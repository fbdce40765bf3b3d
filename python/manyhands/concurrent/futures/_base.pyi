from concurrent.futures._base import *
from concurrent.futures._base import Future as Future
