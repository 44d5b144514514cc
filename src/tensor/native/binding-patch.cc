// A function of TensorFlow's C interface as the addon calls it: compiled beside tfjs-node's own sources with
// -DTF_NewTensor=uoe_new_tensor, which renames their call.
#include <string.h>

#include "tensorflow/c/c_api.h"

// A tensor with a copy of the caller's bytes. The original shares the caller's memory where its address happens to be a multiple of 64:
// a later write to the JavaScript array would then change the tensor.
extern "C" TF_Tensor *uoe_new_tensor(TF_DataType dtype, const int64_t *dims, int count, void *data, size_t bytes, void (*release)(void *, size_t, void *),
                                     void *argument) {
  TF_Tensor *tensor = TF_AllocateTensor(dtype, dims, count, bytes);
  if (tensor != nullptr && bytes > 0) memcpy(TF_TensorData(tensor), data, bytes);
  release(data, bytes, argument);
  return tensor;
}
