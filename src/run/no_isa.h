/* Undefines what kernels.h defines for one instruction set. No include guard. */
#undef MF_ISA
#undef MF_TARGET
#undef MF_FMA
#undef MF_PRODUCT_ERROR
#undef MF_VFMA
#undef MF_MASK_TYPE
#undef MF_MASK
#undef MF_BLOCK_ROWS
#undef MF_BLOCK_VECS
#undef MF_VEC
#undef MF_WIDTH
#undef MF_LOAD
#undef MF_STORE
#undef MF_SPREAD
#undef MF_LOAD_PART
#undef MF_STORE_PART
#undef MF_VSUM
