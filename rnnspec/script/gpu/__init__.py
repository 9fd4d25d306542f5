"""The second printer of a program: kernels in CUDA C, and the CuPy calls that launch them.

    tasks       Program -> products, kernels and loops         what runs as one launch
    plan        kernel  -> atoms and phases                    what a thread computes, and where a block must wait
    storage     program -> arrays                              what is kept in memory from launch to launch
    cuda        plan    -> CUDA C                              the text of a kernel
    body        all of it -> Body                              allocation, forward and backward of the script

Arrays are (time, batch, feature): the features of one sequence at one step lie side by side, a product over all steps is one
matrix product, and what a step needs is read in one piece.
"""
