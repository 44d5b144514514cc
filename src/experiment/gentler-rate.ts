/** A third of the learning rate to one digit: what to try after a loss that was not finite. */
export const gentlerRate = (lr: number): number => Number((lr / 3).toPrecision(1));
